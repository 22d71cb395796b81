"""What Camunda's Terraform plans for one cluster, and what stands for it here.

Derived from the plan of the ECS Fargate reference architecture (119 resources). Each address maps
to ``stack:LogicalId``, with ``/Property`` when it became a part of that resource, or to
``better:`` and the reason why something else replaces it.
"""

from __future__ import annotations

_OWN_LOG_STREAMS = "better: the awslogs driver writes as the execution role, not as the task"
_INLINE = "better: the policy is inline in its role, so nothing has to be attached"
_PASSWORD = "/GenerateSecretString"
_DEFAULTS = (
    "better: AWS makes it with the VPC and the reference only tags it; every subnet names its own"
)

_OC = "module.orchestration_cluster."
_CON = "module.connectors."
_PG = "module.postgresql."

COUNTERPARTS: dict[str, str] = {
    # seed: a function instead of a task that is run from the operator's machine
    "aws_cloudwatch_log_group.db_seed[0]": "better: the seed function logs with the functions",
    "aws_ecs_task_definition.db_seed[0]": "better: a function seeds the database over verified TLS",
    "null_resource.run_db_seed_task[0]": "better: the provision machine calls the seed function",
    # cluster-wide
    "aws_ecs_cluster.ecs": "cluster:EcsCluster",
    "aws_iam_policy.ecs_task_secrets_policy[0]": "cluster:OrchestrationExecutionRole/Policies",
    "aws_iam_policy.rds_db_connect_camunda": "cluster:OrchestrationTaskRole/Policies",
    "aws_iam_policy.s3_backup_access_policy": "cluster:OrchestrationTaskRole/Policies",
    "aws_iam_role.ecs_service": "better: ECS uses its own service-linked role",
    "aws_iam_role_policy.ecs_service": "better: ECS uses its own service-linked role",
    "aws_iam_role.ecs_task_execution": "cluster:OrchestrationExecutionRole",
    "aws_iam_role_policy_attachment.ecs_task_execution_policy": (
        "better: statements on this cluster's logs and secrets instead of a managed policy"
    ),
    "aws_iam_role_policy_attachment.task_execution_task_secrets[0]": _INLINE,
    "aws_kms_alias.s3_bucket_key_alias": "cluster:StorageKeyAlias",
    "aws_kms_alias.secrets[0]": "cluster:SecretsKeyAlias",
    "aws_kms_key.s3_bucket_key": "cluster:StorageKey",
    "aws_kms_key.secrets[0]": "cluster:SecretsKey",
    # load balancers
    "aws_lb.grpc": "cluster:GrpcLoadBalancer",
    "aws_lb.main": "cluster:WebLoadBalancer",
    "aws_lb_listener.http_management": "cluster:ManagementListenerOnRequest",
    "aws_lb_listener.http_webapp": "cluster:HttpListener",
    # backup bucket
    "aws_s3_bucket.backup": "cluster:BackupBucket",
    "aws_s3_bucket_public_access_block.backup": (
        "cluster:BackupBucket/PublicAccessBlockConfiguration"
    ),
    "aws_s3_bucket_server_side_encryption_configuration.backup": (
        "cluster:BackupBucket/BucketEncryption"
    ),
    "aws_s3_bucket_versioning.backup": "cluster:BackupBucket/VersioningConfiguration",
    # secrets
    "aws_secretsmanager_secret.connectors_client_auth_password": "cluster:ConnectorsUserSecret",
    "aws_secretsmanager_secret.db_admin_password": "cluster:DatabaseAdminSecret",
    "aws_secretsmanager_secret.orchestration_admin_user_password": "cluster:AdminUserSecret",
    "aws_secretsmanager_secret_version.connectors_client_auth_password": (
        "cluster:ConnectorsUserSecret" + _PASSWORD
    ),
    "aws_secretsmanager_secret_version.db_admin_password": "cluster:DatabaseAdminSecret"
    + _PASSWORD,
    "aws_secretsmanager_secret_version.orchestration_admin_user_password": (
        "cluster:AdminUserSecret" + _PASSWORD
    ),
    "random_password.admin_user_password": "cluster:AdminUserSecret" + _PASSWORD,
    "random_password.connectors_user_password": "cluster:ConnectorsUserSecret" + _PASSWORD,
    "random_password.db_admin_password[0]": "cluster:DatabaseAdminSecret" + _PASSWORD,
    # security groups
    "aws_security_group.allow_necessary_camunda_ports_within_vpc": "cluster:BrokerSecurityGroup",
    "aws_security_group.allow_package_80_443": "cluster:ConnectorsSecurityGroup",
    "aws_security_group.allow_remote_80_443": "cluster:WebLoadBalancerSecurityGroup",
    "aws_security_group.allow_remote_9600": (
        "better: 9600 is open to functions and health checks; a rule for clients only on request"
    ),
    "aws_security_group.allow_remote_grpc": "cluster:GrpcLoadBalancerSecurityGroup",
    "aws_security_group.efs": "cluster:FileSystemSecurityGroup",
    # connectors
    _CON + "aws_ecs_service.connectors": "services:connectors",
    _CON + "aws_ecs_task_definition.connectors": "cluster:ConnectorsTaskDefinition",
    _CON + "aws_iam_policy.connectors_logs_policy": _OWN_LOG_STREAMS,
    _CON + "aws_iam_policy.ecs_exec_policy": "cluster:ConnectorsTaskRole/Policies",
    _CON + "aws_iam_role.ecs_task_role": "cluster:ConnectorsTaskRole",
    _CON + "aws_iam_role_policy_attachment.connectors_logs_policy_attachment": _OWN_LOG_STREAMS,
    _CON + "aws_iam_role_policy_attachment.ecs_exec_policy_attachment": _INLINE,
    _CON + "aws_lb_listener_rule.http_webapp[0]": "cluster:ConnectorsRule",
    _CON + "aws_lb_target_group.main": "cluster:ConnectorsTargetGroup",
    # brokers
    _OC
    + "aws_cloudwatch_log_group.orchestration_cluster_log_group": "cluster:OrchestrationLogGroup",
    _OC + "aws_cloudwatch_log_stream.orchestration_cluster_log_stream": (
        "better: the awslogs driver makes a stream for each task; nothing writes to this one"
    ),
    _OC + "aws_ecs_service.orchestration_cluster": "services:orchestration-cluster",
    _OC + "aws_ecs_task_definition.orchestration_cluster": "cluster:OrchestrationTaskDefinition",
    _OC + "aws_efs_access_point.camunda_data": "cluster:DataAccessPoint",
    _OC + "aws_efs_file_system.efs": "cluster:FileSystem",
    _OC + "aws_efs_mount_target.efs_mounts[0]": "cluster:MountTarget1",
    _OC + "aws_efs_mount_target.efs_mounts[1]": "cluster:MountTarget2",
    _OC + "aws_efs_mount_target.efs_mounts[2]": "cluster:MountTarget3",
    _OC + "aws_iam_policy.ecs_exec_policy": "cluster:OrchestrationTaskRole/Policies",
    _OC + "aws_iam_policy.efs_sc_access": "cluster:OrchestrationTaskRole/Policies",
    _OC + "aws_iam_policy.orchestration_cluster_logs_policy": _OWN_LOG_STREAMS,
    _OC + "aws_iam_policy.s3_access": "cluster:OrchestrationTaskRole/Policies",
    _OC + "aws_iam_role.ecs_task_role": "cluster:OrchestrationTaskRole",
    _OC + "aws_iam_role_policy_attachment.ecs_exec_policy_attachment": _INLINE,
    _OC + "aws_iam_role_policy_attachment.ecs_task_efs_policy": _INLINE,
    _OC + "aws_iam_role_policy_attachment.ecs_task_s3_policy": _INLINE,
    _OC + "aws_iam_role_policy_attachment.orchestration_cluster_logs_policy_attachment": (
        _OWN_LOG_STREAMS
    ),
    _OC + "aws_iam_role_policy_attachment.task_role_policy_attachment[0]": _INLINE,
    _OC + "aws_iam_role_policy_attachment.task_role_policy_attachment[1]": _INLINE,
    _OC + "aws_kms_alias.s3": "cluster:StorageKeyAlias",
    _OC + "aws_kms_key.s3": "cluster:StorageKey",
    _OC + "aws_lb_listener.grpc_26500[0]": "cluster:GrpcListener",
    _OC + "aws_lb_listener_rule.http_webapp[0]": "cluster:OrchestrationRule",
    _OC + "aws_lb_target_group.main": "cluster:RestTargetGroup",
    _OC + "aws_lb_target_group.main_26500": "cluster:GrpcTargetGroup",
    _OC + "aws_lb_target_group.main_9600": "cluster:ManagementTargetGroup",
    _OC + "aws_s3_bucket.main": "cluster:NodeIdBucket",
    _OC + "aws_s3_bucket_public_access_block.main": (
        "cluster:NodeIdBucket/PublicAccessBlockConfiguration"
    ),
    _OC + "aws_s3_bucket_server_side_encryption_configuration.main": (
        "cluster:NodeIdBucket/BucketEncryption"
    ),
    _OC + "aws_service_discovery_http_namespace.service_connect": "cluster:ServiceConnectNamespace",
    _OC + "aws_service_discovery_private_dns_namespace.namespace": "cluster:DnsNamespace",
    _OC + "aws_service_discovery_service.discovery": "cluster:BrokerDiscovery",
    # database
    _PG + "aws_db_subnet_group.this": "cluster:DatabaseSubnetGroup",
    _PG + "aws_kms_key.this": "cluster:DatabaseKey",
    _PG + "aws_rds_cluster.aurora_cluster": "cluster:DatabaseCluster",
    _PG + "aws_rds_cluster_instance.aurora_instance[0]": "cluster:DatabaseInstance1",
    _PG + "aws_security_group.this": "cluster:DatabaseSecurityGroup",
    _PG + "aws_security_group_rule.allow_egress": (
        "better: a database opens no connections, so its group allows none"
    ),
    _PG + "aws_security_group_rule.allow_ingress": "cluster:DatabaseFromBrokers",
    # network
    "module.vpc.aws_default_network_acl.this[0]": _DEFAULTS,
    "module.vpc.aws_default_route_table.default[0]": _DEFAULTS,
    "module.vpc.aws_default_security_group.this[0]": (
        "better: CloudFormation cannot empty the default group; nothing here uses it"
    ),
    "module.vpc.aws_internet_gateway.this[0]": "network:InternetGateway",
    "module.vpc.aws_route.public_internet_gateway[0]": "network:PublicDefaultRoute",
    "module.vpc.aws_route_table.public[0]": "network:PublicRouteTable",
    "module.vpc.aws_vpc.this[0]": "network:Vpc",
} | {
    f"module.vpc.{address}[{zone - 1}]": f"network:{logical_id}"
    for zone in (1, 2, 3)
    for address, logical_id in (
        ("aws_eip.nat", f"NatAddress{zone}"),
        ("aws_nat_gateway.this", f"NatGateway{zone}"),
        ("aws_route.private_nat_gateway", f"PrivateDefaultRoute{zone}"),
        ("aws_route_table.private", f"PrivateRouteTable{zone}"),
        ("aws_route_table_association.private", f"PrivateSubnet{zone}Routes"),
        ("aws_route_table_association.public", f"PublicSubnet{zone}Routes"),
        ("aws_subnet.private", f"PrivateSubnet{zone}"),
        ("aws_subnet.public", f"PublicSubnet{zone}"),
    )
}

TYPES = {
    "aws_cloudwatch_log_group": "AWS::Logs::LogGroup",
    "aws_db_subnet_group": "AWS::RDS::DBSubnetGroup",
    "aws_ecs_cluster": "AWS::ECS::Cluster",
    "aws_ecs_service": "AWS::ECS::Service",
    "aws_ecs_task_definition": "AWS::ECS::TaskDefinition",
    "aws_efs_access_point": "AWS::EFS::AccessPoint",
    "aws_efs_file_system": "AWS::EFS::FileSystem",
    "aws_efs_mount_target": "AWS::EFS::MountTarget",
    "aws_eip": "AWS::EC2::EIP",
    "aws_iam_role": "AWS::IAM::Role",
    "aws_internet_gateway": "AWS::EC2::InternetGateway",
    "aws_kms_alias": "AWS::KMS::Alias",
    "aws_kms_key": "AWS::KMS::Key",
    "aws_lb": "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "aws_lb_listener": "AWS::ElasticLoadBalancingV2::Listener",
    "aws_lb_listener_rule": "AWS::ElasticLoadBalancingV2::ListenerRule",
    "aws_lb_target_group": "AWS::ElasticLoadBalancingV2::TargetGroup",
    "aws_nat_gateway": "AWS::EC2::NatGateway",
    "aws_rds_cluster": "AWS::RDS::DBCluster",
    "aws_rds_cluster_instance": "AWS::RDS::DBInstance",
    "aws_route": "AWS::EC2::Route",
    "aws_route_table": "AWS::EC2::RouteTable",
    "aws_route_table_association": "AWS::EC2::SubnetRouteTableAssociation",
    "aws_s3_bucket": "AWS::S3::Bucket",
    "aws_secretsmanager_secret": "AWS::SecretsManager::Secret",
    "aws_security_group": "AWS::EC2::SecurityGroup",
    "aws_security_group_rule": "AWS::EC2::SecurityGroupIngress",
    "aws_service_discovery_http_namespace": "AWS::ServiceDiscovery::HttpNamespace",
    "aws_service_discovery_private_dns_namespace": "AWS::ServiceDiscovery::PrivateDnsNamespace",
    "aws_service_discovery_service": "AWS::ServiceDiscovery::Service",
    "aws_subnet": "AWS::EC2::Subnet",
    "aws_vpc": "AWS::EC2::VPC",
}
