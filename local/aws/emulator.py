"""Every use of the emulator's private names, in one place.

The emulator (ministack, pinned in `host.py`) has no extension interface, so what stands in for AWS
reads its state and replaces its functions by name. Other modules import from here and nowhere else;
the private name is the public one with an underscore before it. A name that the emulator has no
longer fails with a message that names it, and `tests/integration/test_emulator_names.py` holds the
tables against the installed emulator and against what is used.
"""

from __future__ import annotations

import importlib
from typing import Any


class EmulatorChangedError(AttributeError):
    """The installed emulator lacks a name that the extension needs."""


class Names:
    """One module of the emulator: its public names, and the private ones that are listed here.

    Reading gives what the emulator has now; assigning replaces it for all code that looks it up by
    name in that module. The module is imported with the first use, after `host.py` has set the
    environment that it reads.
    """

    def __init__(self, module: str, *private: str) -> None:
        object.__setattr__(self, "module", module)
        object.__setattr__(self, "private", frozenset(private))

    def _real(self, name: str) -> str:
        return f"_{name}" if name in self.private else name

    def __getattr__(self, name: str) -> Any:
        module = importlib.import_module(self.module)
        try:
            return getattr(module, self._real(name))
        except AttributeError as error:
            raise EmulatorChangedError(f"{self.module} has no {self._real(name)}") from error

    def __setattr__(self, name: str, value: Any) -> None:
        getattr(self, name)  # raises: what is not there would be replaced without effect
        setattr(importlib.import_module(self.module), self._real(name), value)


app = Names(
    "ministack.app", "dispatch_service_request", "enforce_data_plane", "enforce_execute_api"
)

iam_actions = Names("ministack.core.iam_actions")
iam_evaluator = Names(
    "ministack.core.iam_evaluator",
    "gather_role_policies",
    "is_root_key",
    "names_condition_key",
    "permissions_boundary",
    "resolve_condition_key",
)
rds_iam = Names("ministack.core.rds_iam")
responses = Names("ministack.core.responses")
router = Names("ministack.core.router")

acm = Names(
    "ministack.services.acm",
    "cert_shape",
    "certificates",
    "decode_pem_field",
    "delete_certificate",
    "describe_certificate",
    "get_certificate",
    "import_certificate",
    "list_certificates",
    "request_certificate",
    "validation_options",
)
alb = Names(
    "ministack.services.alb",
    "ACTION_MAP",
    "describe_target_health",
    "error",
    "lb_attrs",
    "lb_xml",
    "lbs",
    "listener_xml",
    "listeners",
    "p",
    "parse_certificate_arns",
    "parse_targets_param",
    "rules",
    "tags",
    "targets",
    "tg_attrs",
    "tgs",
    "xml",
)
apigateway_v1 = Names(
    "ministack.services.apigateway_v1",
    "gateway_error_response",
    "gw_error",
    "import_rest_api",
    "put_gateway_response",
)
cloudformation = Names(
    "ministack.services.cloudformation", "change_sets", "exports", "stack_events", "stacks"
)
cloudformation_api = Names(
    "ministack.services.cloudformation.handlers",
    "ACTION_HANDLERS",
    "evaluate_conditions",
    "imported_export_names",
    "resolve_stack",
)
changesets = Names(
    "ministack.services.cloudformation.changesets",
    "deploy_stack_async",
    "evaluate_conditions",
    "find_change_set",
    "resolve_props_for_diff",
)
engine = Names(
    "ministack.services.cloudformation.engine",
    "evaluate_conditions",
    "TransformFailed",
    "apply_transforms",
    "parse_template",
)
helpers = Names("ministack.services.cloudformation.helpers", "error", "p", "resolve_document")
provisioners = Names(
    "ministack.services.cloudformation.provisioners",
    "REPLACING_PROPERTIES",
    "RESOURCE_HANDLERS",
    "STACK_TAG_PROPERTY",
    "custom_named_replacement_error",
    "replacing_change",
    "ec2_apply_tags",
    "ec2_sg_permissions",
    "r53_record_set_build_rs",
    "r53_resolve_hosted_zone_id",
    "sfn_definition",
    "update_resource",
    "with_stack_tags",
)
stacks = Names(
    "ministack.services.cloudformation.stacks",
    "evaluate_conditions",
    "custom_named_replacement_error",
    "delete_resource",
    "deploy_stack_async",
    "resolve_stack_outputs",
    "runs_on_worker_thread",
    "update_resource",
    "with_stack_tags",
)
cloudwatch = Names("ministack.services.cloudwatch")
cloudwatch_logs = Names(
    "ministack.services.cloudwatch_logs", "create_log_stream", "log_groups", "put_log_events"
)
cognito = Names(
    "ministack.services.cognito", "admin_create_user", "admin_delete_user", "new_user_error"
)
dynamodb = Names("ministack.services.dynamodb", "tables")
ec2 = Names(
    "ministack.services.ec2",
    "ACTION_MAP",
    "addresses",
    "authorize_sg_ingress",
    "ensure_defaults_initialized",
    "error",
    "flow_logs",
    "nat_gateways",
    "now_ts",
    "p",
    "parse_ip_permissions",
    "prefix_lists",
    "security_groups",
    "subnets",
    "tags",
    "vpcs",
)
ecr = Names("ministack.services.ecr", "describe_images", "find_image", "repositories")
ecs = Names(
    "ministack.services.ecs",
    "ACTION_MAP",
    "clusters",
    "create_service",
    "delete_cluster",
    "delete_service",
    "dispatch_action",
    "dispatch_path",
    "reconcile_service_tasks",
    "recount_cluster",
    "register_task_definition",
    "resolve_cluster_name",
    "resolve_task",
    "resolve_td_key",
    "run_task",
    "sanitize",
    "services",
    "stop_task",
    "tags",
    "task_defs",
    "tasks",
    "update_service",
)
efs = Names("ministack.services.efs", "error", "tag_resource", "untag_resource")
scheduler = Names("ministack.services.scheduler", "schedule_last_fired", "update_schedule")
eventbridge = Names(
    "ministack.services.eventbridge", "dispatch_to_lambda", "invoke_target", "put_events"
)
iam = Names("ministack.services.iam", "IAM_HANDLERS", "roles", "xml")
kms = Names("ministack.services.kms", "create_alias", "create_key", "resolve_key")
lambda_svc = Names(
    "ministack.services.lambda_svc",
    "execute_function_warm",
    "execution_record_for_config",
    "functions",
    "get_base_func_record_for_ref",
    "get_func_record_for_ref",
    "invoke",
    "resolve_layer_zip",
    "route_async_failure",
    "throttle_response",
)
rds = Names(
    "ministack.services.rds",
    "ACTION_MAP",
    "cluster_snapshot_xml",
    "cluster_xml",
    "clusters",
    "create_cluster_snapshot_internal",
    "db_cluster_param_groups",
    "db_cluster_snapshots",
    "default_engine_version",
    "error",
    "format_time",
    "instances",
    "p",
    "parse_filters",
    "parse_member_list",
    "parse_tags",
    "single_instance_response",
    "subnet_groups",
    "tags",
    "xml",
)
route53 = Names(
    "ministack.services.route53",
    "change_resource_record_sets",
    "error_response",
    "lock",
    "parse_body",
    "parse_record_set",
    "records",
    "zones",
)
s3 = Names(
    "ministack.services.s3",
    "bucket_has_versions",
    "bucket_tags",
    "buckets",
    "delete_bucket_tagging",
    "error",
    "get_object_data",
    "put_bucket_tagging",
)
secretsmanager = Names(
    "ministack.services.secretsmanager",
    "put_secret_value",
    "remove_stage_everywhere",
    "resolve",
)
servicediscovery = Names(
    "ministack.services.servicediscovery",
    "create_service",
    "delete_service",
    "deregister_instance",
    "instances",
    "list_services",
    "namespaces",
    "register_instance",
    "services",
)
sns = Names("ministack.services.sns", "deliver_to_lambda", "fanout", "topic_by_arn_any_scope")
sqs = Names("ministack.services.sqs", "act_send_message", "queue_by_arn")
ssm = Names("ministack.services.ssm", "list_tags_for_resource")
stepfunctions = Names(
    "ministack.services.stepfunctions",
    "ExecutionError",
    "add_event",
    "apply_state_assign",
    "call_lambda",
    "emit_execution_status_event",
    "error_matches",
    "execute_choice",
    "execute_map",
    "execute_parallel",
    "execute_pass",
    "execute_task",
    "execute_wait",
    "executions",
    "fail_execution",
    "fail_state_error",
    "finalize_response",
    "invoke_resource",
    "list_executions",
    "resolve_state_machine_arn",
    "run_distributed_map",
    "run_execution",
    "start_execution",
    "state_machines",
)
sts = Names("ministack.services.sts", "evict_expired_sessions", "sessions")
tagging = Names(
    "ministack.services.tagging", "RESOURCE_TAG_COLLECTORS", "collect_ecs", "collect_efs"
)
