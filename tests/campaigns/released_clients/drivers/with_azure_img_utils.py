"""Publish with azure-img-utils, as its users do. Runs in the environment of the released clients.

The only argument is a JSON object: `offer`, one of `image` and `gallery_image` (the arguments of
`add_image_to_offer` and `add_sig_image_to_offer`), and `interval`, in seconds. The library adds, publishes and goes
live, and does not wait for the last two. Therefore this polls `get_offer_status`, as users of the library must.
"""

import json
import logging
import sys
import time

from azure_img_utils.azure_image import AzureImage  # type: ignore[import-not-found]

CREDENTIALS = {
    "activeDirectoryEndpointUrl": "https://login.microsoftonline.com",
    "clientId": "client",
    "clientSecret": "secret",
    "subscriptionId": "11112222-3333-4444-5555-666677778888",
    "tenantId": "c2d8b7a4-54a6-4bf0-9b7e-0f8f3a1d6e90",
}


logger = logging.getLogger("driver")


def wait(image: AzureImage, offer: str, wanted: str, interval: float) -> None:
    """Poll until the offer has the wanted status."""
    while True:
        status = image.get_offer_status(offer)
        logger.info("%s is %s", offer, status)
        if status == wanted:
            return
        if status == "failed":
            raise SystemExit(f"{offer} is {status}")
        time.sleep(interval)


logging.basicConfig(level=logging.INFO)
asked = json.loads(sys.argv[1])
image = AzureImage(
    container="vhds", storage_account="fabrikamimages", resource_group="images", credentials=CREDENTIALS
)
if "image" in asked:
    image.add_image_to_offer(offer_id=asked["offer"], **asked["image"])
else:
    image.add_sig_image_to_offer(offer_id=asked["offer"], **asked["gallery_image"])
image.publish_offer(asked["offer"])
wait(image, asked["offer"], "waitingForPublisherReview", asked["interval"])
image.go_live_with_offer(asked["offer"])
wait(image, asked["offer"], "succeeded", asked["interval"])
