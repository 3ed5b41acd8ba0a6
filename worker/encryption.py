"""Payload encryption: only those who have the key can read what a history holds."""

import os
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

ENCODING = b"binary/encrypted"
KEY_ID = "encryption-key-id"
NONCE_SIZE = 12
KEY_SIZES = {16, 24, 32}


class EncryptionCodec(PayloadCodec):
    """AES-GCM with named keys. The first encrypts, all decrypt, so that keys can be rotated while runs go on.

    A payload that is not encrypted is passed on, so that people can start runs with the plain CLI. A payload that
    cannot be decrypted is passed on, too: its reader refuses it by its encoding. An error here would keep the
    workflow from ever completing a task.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Create the codec.

        Args:
            keys: Key id to key of 16, 24 or 32 bytes; at least one.
        """
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._key_id = next(iter(keys))

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Return the payloads, each encrypted with the first key."""
        return [self._encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Return the payloads, decrypted where they can be."""
        return [self._decrypted(payload) for payload in payloads]

    def _encrypted(self, payload: Payload) -> Payload:
        nonce = os.urandom(NONCE_SIZE)
        sealed = self._ciphers[self._key_id].encrypt(nonce, payload.SerializeToString(), None)
        return Payload(metadata={"encoding": ENCODING, KEY_ID: self._key_id.encode()}, data=nonce + sealed)

    def _decrypted(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        cipher = self._ciphers.get(payload.metadata.get(KEY_ID, b"").decode(errors="replace"))
        if cipher is None:
            return payload
        try:
            opened = cipher.decrypt(payload.data[:NONCE_SIZE], payload.data[NONCE_SIZE:], None)
            return Payload.FromString(opened)
        except (InvalidTag, ValueError):
            return payload
