"""The console on AWS: its files, its configuration, and how CloudFormation publishes them."""
