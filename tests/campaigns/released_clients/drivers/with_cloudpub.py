"""Publish with cloudpub, as its users do: `AzureService.publish`. Runs in the environment of the released clients.

The only argument is a JSON object: `interval` and `timeout` (seconds, for the constructor) and `metadata` (members
of `AzurePublishingMetadata`).
"""

import json
import logging
import sys

from cloudpub.ms_azure import AzurePublishingMetadata, AzureService  # type: ignore[import-not-found]

CREDENTIALS = {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_API_SECRET": "secret"}

logging.basicConfig(level=logging.INFO)
asked = json.loads(sys.argv[1])
service = AzureService(CREDENTIALS, retry_interval=asked["interval"], retry_timeout=asked["timeout"])
service.publish(AzurePublishingMetadata(**asked["metadata"]))
