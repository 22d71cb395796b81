"""Permissions that the schemas list and this project does not grant, each with its reason.

The test of a table entry: the property exists, and the type's schema lists the actions. As soon as
a template uses the property, its actions count as needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# (type, property): what only resources with that property need.
ONLY_FOR: Mapping[tuple[str, str], set[str]] = {
    ("AWS::CertificateManager::Certificate", "CertificateAuthorityArn"): {
        "acm-pca:GetCertificate",
        "acm-pca:IssueCertificate",
    },
    ("AWS::CloudFront::Distribution", "ConnectionMode"): {
        "cloudfront:CreateConnectionGroup",
        "cloudfront:GetConnectionGroup",
    },
    ("AWS::CloudFront::Distribution", "ContinuousDeploymentPolicyId"): {
        "cloudfront:UpdateDistributionWithStagingConfig"
    },
    ("AWS::CloudFront::Distribution", "VpcOriginConfig"): {"cloudfront:GetVpcOrigin"},
    ("AWS::Cognito::IdentityPool", "CognitoEvents"): {"cognito-sync:SetCognitoEvents"},
    ("AWS::Cognito::IdentityPool", "CognitoStreams"): {
        "cognito-sync:SetIdentityPoolConfiguration",
        "iam:PassRole",
    },
    ("AWS::Cognito::UserPool", "EmailConfiguration"): {"iam:CreateServiceLinkedRole"},
    ("AWS::Cognito::UserPool", "KeyConfiguration"): {
        "kms:CreateGrant",
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    },
    ("AWS::Cognito::UserPool", "Schema"): {"cognito-idp:AddCustomAttributes"},
    ("AWS::Cognito::UserPool", "SmsConfiguration"): {"iam:PassRole"},
    ("AWS::Cognito::UserPoolClient", "AnalyticsConfiguration"): {
        "iam:CreateServiceLinkedRole",
        "iam:DeleteRolePolicy",
        "iam:PassRole",
        "iam:PutRolePolicy",
    },
    ("AWS::Cognito::UserPoolDomain", "CustomDomainConfig"): {"cloudfront:updateDistribution"},
    ("AWS::Cognito::UserPoolDomain", "Routing"): {
        "kms:CreateGrant",
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    },
    ("AWS::DynamoDB::Table", "ContributorInsightsSpecification"): {
        "dynamodb:UpdateContributorInsights"
    },
    ("AWS::DynamoDB::Table", "ImportSourceSpecification"): {
        "dynamodb:DescribeImport",
        "dynamodb:ImportTable",
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:DescribeLogGroups",
        "logs:DescribeLogStreams",
        "logs:PutLogEvents",
        "logs:PutRetentionPolicy",
        "s3:GetObject",
        "s3:ListBucket",
    },
    ("AWS::DynamoDB::Table", "KinesisStreamSpecification"): {
        "dynamodb:DisableKinesisStreamingDestination",
        "dynamodb:EnableKinesisStreamingDestination",
        "dynamodb:UpdateKinesisStreamingDestination",
        "kinesis:DescribeStream",
        "kinesis:PutRecords",
    },
    ("AWS::DynamoDB::Table", "KMSMasterKeyId"): {
        "kms:CreateGrant",
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:ListAliases",
        "kms:RevokeGrant",
    },
    ("AWS::DynamoDB::Table", "ResourcePolicy"): {
        "dynamodb:DeleteResourcePolicy",
        "dynamodb:PutResourcePolicy",
    },
    ("AWS::EC2::EIP", "InstanceId"): {"ec2:AssociateAddress"},
    ("AWS::EC2::EIP", "TransferAddress"): {"ec2:AcceptAddressTransfer"},
    ("AWS::EC2::NatGateway", "SecondaryAllocationIds"): {
        "ec2:AssociateNatGatewayAddress",
        "ec2:DisassociateNatGatewayAddress",
    },
    ("AWS::EC2::NatGateway", "SecondaryPrivateIpAddresses"): {
        "ec2:AssignPrivateNatGatewayAddress",
        "ec2:UnassignPrivateNatGatewayAddress",
    },
    ("AWS::EC2::Subnet", "Ipv6CidrBlock"): {
        "ec2:AssociateSubnetCidrBlock",
        "ec2:DisassociateSubnetCidrBlock",
    },
    ("AWS::EC2::VPCEndpoint", "ServiceNetworkArn"): {
        "vpc-lattice:CreateServiceNetworkVpcEndpointAssociation"
    },
    ("AWS::EC2::VPCEndpoint", "ServiceRegion"): {"vpce:AllowMultiRegion"},
    ("AWS::EC2::VPCGatewayAttachment", "VpnGatewayId"): {
        "ec2:AttachVpnGateway",
        "ec2:DescribeVpnGateways",
        "ec2:DetachVpnGateway",
    },
    ("AWS::ECS::Cluster", "CapacityProviders"): {"ecs:PutClusterCapacityProviders"},
    ("AWS::EFS::FileSystem", "FileSystemProtection"): {
        "elasticfilesystem:UpdateFileSystemProtection"
    },
    ("AWS::EFS::FileSystem", "ReplicationConfiguration"): {
        "elasticfilesystem:CreateReplicationConfiguration",
        "elasticfilesystem:DeleteReplicationConfiguration",
        "iam:PassRole",
    },
    ("AWS::ElasticLoadBalancingV2::Listener", "AuthenticateCognitoConfig"): {
        "cognito-idp:DescribeUserPoolClient"
    },
    ("AWS::ElasticLoadBalancingV2::ListenerRule", "AuthenticateCognitoConfig"): {
        "cognito-idp:DescribeUserPoolClient"
    },
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", "Ipv4IpamPoolId"): {
        "ec2:DescribeIpamPools",
        "elasticloadbalancing:ModifyIpPools",
    },
    ("AWS::ElasticLoadBalancingV2::LoadBalancer", "MinimumLoadBalancerCapacity"): {
        "elasticloadbalancing:ModifyCapacityReservation"
    },
    ("AWS::ElasticLoadBalancingV2::TargetGroup", "Targets"): {
        "elasticloadbalancing:DeregisterTargets",
        "elasticloadbalancing:RegisterTargets",
    },
    ("AWS::Events::Rule", "RoleArn"): {"iam:PassRole"},
    ("AWS::IAM::ManagedPolicy", "Groups"): {"iam:AttachGroupPolicy", "iam:DetachGroupPolicy"},
    ("AWS::IAM::ManagedPolicy", "Roles"): {"iam:AttachRolePolicy", "iam:DetachRolePolicy"},
    ("AWS::IAM::ManagedPolicy", "Users"): {"iam:AttachUserPolicy", "iam:DetachUserPolicy"},
    ("AWS::IAM::Role", "ManagedPolicyArns"): {"iam:AttachRolePolicy", "iam:DetachRolePolicy"},
    ("AWS::IAM::Role", "PermissionsBoundary"): {"iam:PutRolePermissionsBoundary"},
    ("AWS::Lambda::Alias", "ProvisionedConcurrencyConfig"): {
        "lambda:DeleteProvisionedConcurrencyConfig",
        "lambda:PutProvisionedConcurrencyConfig",
    },
    ("AWS::Lambda::Function", "CapacityProviderConfig"): {"lambda:PassCapacityProvider"},
    ("AWS::Lambda::Function", "CodeSigningConfigArn"): {
        "lambda:DeleteFunctionCodeSigningConfig",
        "lambda:GetCodeSigningConfig",
        "lambda:PutFunctionCodeSigningConfig",
    },
    ("AWS::Lambda::Function", "FileSystemConfigs"): {
        "elasticfilesystem:DescribeMountTargets",
        "s3files:ListMountTargets",
    },
    ("AWS::Lambda::Function", "FunctionScalingConfig"): {"lambda:PutFunctionScalingConfig"},
    ("AWS::Lambda::Function", "KmsKeyArn"): {
        "kms:CreateGrant",
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
    },
    ("AWS::Lambda::Function", "RecursiveLoop"): {"lambda:PutFunctionRecursionConfig"},
    ("AWS::Lambda::Function", "ReservedConcurrentExecutions"): {
        "lambda:DeleteFunctionConcurrency",
        "lambda:PutFunctionConcurrency",
    },
    ("AWS::Lambda::Function", "RuntimeManagementConfig"): {"lambda:PutRuntimeManagementConfig"},
    ("AWS::Lambda::Version", "FunctionScalingConfig"): {"lambda:PutFunctionScalingConfig"},
    ("AWS::Lambda::Version", "ProvisionedConcurrencyConfig"): {
        "lambda:PutProvisionedConcurrencyConfig"
    },
    ("AWS::Lambda::Version", "RuntimePolicy"): {"lambda:PutRuntimeManagementConfig"},
    ("AWS::Logs::LogGroup", "BearerTokenAuthenticationEnabled"): {
        "logs:PutBearerTokenAuthentication"
    },
    ("AWS::Logs::LogGroup", "DataProtectionPolicy"): {
        "firehose:TagDeliveryStream",
        "logs:CreateLogDelivery",
        "logs:DeleteDataProtectionPolicy",
        "logs:PutDataProtectionPolicy",
    },
    ("AWS::Logs::LogGroup", "DeletionProtectionEnabled"): {"logs:PutLogGroupDeletionProtection"},
    ("AWS::Logs::LogGroup", "FieldIndexPolicies"): {
        "logs:DeleteIndexPolicy",
        "logs:PutIndexPolicy",
    },
    ("AWS::Logs::LogGroup", "KmsKeyId"): {"logs:AssociateKmsKey", "logs:DisassociateKmsKey"},
    ("AWS::Logs::LogGroup", "ResourcePolicyDocument"): {
        "logs:DeleteResourcePolicy",
        "logs:PutResourcePolicy",
    },
    ("AWS::RDS::DBCluster", "AssociatedRoles"): {
        "rds:AddRoleToDBCluster",
        "rds:RemoveRoleFromDBCluster",
    },
    ("AWS::RDS::DBCluster", "EnableHttpEndpoint"): {
        "rds:DisableHttpEndpoint",
        "rds:EnableHttpEndpoint",
    },
    ("AWS::RDS::DBCluster", "GlobalClusterIdentifier"): {"rds:RemoveFromGlobalCluster"},
    ("AWS::RDS::DBCluster", "ManageMasterUserPassword"): {
        "secretsmanager:CreateSecret",
        "secretsmanager:TagResource",
    },
    ("AWS::RDS::DBCluster", "MonitoringRoleArn"): {"iam:PassRole"},
    ("AWS::RDS::DBCluster", "SnapshotIdentifier"): {"rds:RestoreDBClusterFromSnapshot"},
    ("AWS::RDS::DBCluster", "SourceDBClusterIdentifier"): {"rds:RestoreDBClusterToPointInTime"},
    ("AWS::RDS::DBInstance", "AssociatedRoles"): {
        "rds:AddRoleToDBInstance",
        "rds:RemoveRoleFromDBInstance",
    },
    ("AWS::RDS::DBInstance", "AutomaticBackupReplicationRegion"): {
        "rds:StartDBInstanceAutomatedBackupsReplication",
        "rds:StopDBInstanceAutomatedBackupsReplication",
    },
    ("AWS::RDS::DBInstance", "DBSnapshotIdentifier"): {"rds:RestoreDBInstanceFromDBSnapshot"},
    ("AWS::RDS::DBInstance", "ManageMasterUserPassword"): {
        "secretsmanager:CreateSecret",
        "secretsmanager:TagResource",
    },
    ("AWS::RDS::DBInstance", "MonitoringRoleArn"): {"iam:ListRoles", "iam:PassRole"},
    ("AWS::RDS::DBInstance", "RestoreTime"): {"rds:RestoreDBInstanceToPointInTime"},
    ("AWS::RDS::DBInstance", "SourceDBInstanceIdentifier"): {
        "rds:CreateDBInstanceReadReplica",
        "rds:PromoteReadReplica",
    },
    ("AWS::S3::Bucket", "AbacStatus"): {"s3:PutBucketAbac"},
    ("AWS::S3::Bucket", "AccelerateConfiguration"): {"s3:PutAccelerateConfiguration"},
    ("AWS::S3::Bucket", "AccessControl"): {"s3:PutBucketAcl", "s3:PutObjectAcl"},
    ("AWS::S3::Bucket", "AnalyticsConfigurations"): {"s3:PutAnalyticsConfiguration"},
    ("AWS::S3::Bucket", "CorsConfiguration"): {"s3:PutBucketCORS"},
    ("AWS::S3::Bucket", "IntelligentTieringConfigurations"): {
        "s3:PutIntelligentTieringConfiguration"
    },
    ("AWS::S3::Bucket", "InventoryConfigurations"): {"s3:PutInventoryConfiguration"},
    ("AWS::S3::Bucket", "LoggingConfiguration"): {"s3:PutBucketLogging"},
    ("AWS::S3::Bucket", "MetadataTableConfiguration"): {
        "s3:CreateBucketMetadataTableConfiguration",
        "s3:DeleteBucketMetadataTableConfiguration",
        "s3:UpdateBucketMetadataAnnotationTableConfiguration",
        "s3:UpdateBucketMetadataInventoryTableConfiguration",
        "s3:UpdateBucketMetadataJournalTableConfiguration",
        "s3tables:CreateNamespace",
        "s3tables:CreateTable",
        "s3tables:CreateTableBucket",
        "s3tables:GetTable",
        "s3tables:GetTableMetadataLocation",
        "s3tables:PutTableBucketPolicy",
        "s3tables:PutTableEncryption",
        "s3tables:PutTablePolicy",
        "s3tables:UpdateTableMetadataLocation",
    },
    ("AWS::S3::Bucket", "MetricsConfigurations"): {"s3:PutMetricsConfiguration"},
    ("AWS::S3::Bucket", "NotificationConfiguration"): {"s3:PutBucketNotification"},
    ("AWS::S3::Bucket", "ObjectLockConfiguration"): {"s3:PutBucketObjectLockConfiguration"},
    ("AWS::S3::Bucket", "ReplicationConfiguration"): {
        "iam:PassRole",
        "s3:PutReplicationConfiguration",
    },
    ("AWS::S3::Bucket", "WebsiteConfiguration"): {"s3:DeleteBucketWebsite", "s3:PutBucketWebsite"},
    ("AWS::SecretsManager::Secret", "ReplicaRegions"): {
        "secretsmanager:RemoveRegionsFromReplication",
        "secretsmanager:ReplicateSecretToRegions",
    },
    ("AWS::ServiceDiscovery::Service", "ServiceAttributes"): {
        "servicediscovery:DeleteServiceAttributes",
        "servicediscovery:UpdateServiceAttributes",
    },
    ("AWS::SNS::Topic", "DataProtectionPolicy"): {"sns:PutDataProtectionPolicy"},
    ("AWS::SNS::Topic", "DeliveryStatusLogging"): {"iam:GetRole", "iam:PassRole"},
    ("AWS::SNS::Topic", "Subscription"): {"sns:Subscribe", "sns:Unsubscribe"},
    ("AWS::StepFunctions::StateMachine", "EncryptionConfiguration"): {
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:GenerateDataKey",
    },
}

# Listed by a schema, granted to nobody.
NEVER: Mapping[str, str] = {
    "cloudformation:GetStackPolicy": "the nested stack has no stack policy",
    "cloudformation:SetStackPolicy": "the nested stack has no stack policy",
    "cloudformation:UpdateTerminationProtection": "the nested stack goes with its parent",
    "codedeploy:CreateDeployment": "no alias shifts its traffic by CodeDeploy",
    "codedeploy:GetDeployment": "no alias shifts its traffic by CodeDeploy",
    "codedeploy:GetDeploymentConfig": "no alias shifts its traffic by CodeDeploy",
    "codedeploy:GetDeploymentGroup": "no alias shifts its traffic by CodeDeploy",
    "codedeploy:StopDeployment": "no alias shifts its traffic by CodeDeploy",
    "dynamodb:AssociateTableReplica": "the table lives in one Region",
    "dynamodb:BatchWriteItem": "the contents of a table are not the deployer's",
    "dynamodb:CreateTableReplica": "the table lives in one Region",
    "dynamodb:DeleteItem": "the contents of a table are not the deployer's",
    "dynamodb:GetItem": "the contents of a table are not the deployer's",
    "dynamodb:PutItem": "the contents of a table are not the deployer's",
    "dynamodb:Query": "the contents of a table are not the deployer's",
    "dynamodb:Scan": "the contents of a table are not the deployer's",
    "dynamodb:UpdateItem": "the contents of a table are not the deployer's",
    "ec2:CreateVpcEncryptionControl": "the VPC asks for no encryption control",
    "ec2:ModifyVpcTenancy": "the VPC's tenancy never changes",
    "ecs:PutAccountSetting": "a cluster's settings are its own, not the account's",
    "ecs:PutAccountSettingDefault": "a cluster's settings are its own, not the account's",
    "iam:DeleteRolePermissionsBoundary": "no role may ever lose its boundary",
    "rds:CreateDBSnapshot": "members of an Aurora cluster have no snapshots of their own",
    "s3:DeleteObject": "a bucket with objects is never emptied by a stack",
}

# Listed by one type's schema, of no use to that type here.
NOT_FOR: Mapping[tuple[str, str], str] = {
    ("AWS::Cognito::UserPoolGroup", "iam:PutRolePolicy"): "the template writes the role's policy",
    ("AWS::Cognito::UserPoolUser", "iam:PassRole"): "a user has no role",
    ("AWS::DynamoDB::Table", "iam:CreateServiceLinkedRole"): "only replicas and scaling have one",
    ("AWS::EC2::FlowLog", "autoscaling:DescribeTags"): "the flow log is of a VPC, not of a group",
    (
        "AWS::EC2::FlowLog",
        "iam:CreateServiceLinkedRole",
    ): "only other destinations have one",
}
