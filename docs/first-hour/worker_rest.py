"""Complete the waiting jobs of type `greet` by REST, with Camunda's Python SDK."""

import camunda_orchestration_sdk as sdk
from camunda_orchestration_sdk import models

# Address and login are in CAMUNDA_REST_ADDRESS, CAMUNDA_AUTH_STRATEGY and those beside them.
client = sdk.CamundaClient()
request = models.JobActivationRequest(
    type_="greet", timeout=30_000, max_jobs_to_activate=10, request_timeout=5_000
)
for job in client.activate_jobs(data=request).jobs:
    client.complete_job(job_key=job.job_key, data=models.JobCompletionRequest())
    print("completed", job.job_key)
