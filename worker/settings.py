"""The worker's settings, from environment variables. The SDK itself reads those of the Temporal connection."""

import base64
import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import httpx
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from temporalio.common import WorkerDeploymentVersion

from activities.announcements import Format
from marketplace.model import PublisherId
from worker.encryption import KEY_SIZES

MAX_PORT = 65535
MAX_PERSON = 254
"""The length of an approver's name, as in `workflows.messages.Person`."""

SHORTEST_SECRET = 16


class SettingsError(Exception):
    """A wrong configuration: one line that names the variable, never its value."""


def _web_address(address: str) -> str:
    form = "must be an address such as https://cloudpartner.azure.com"
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        raise ValueError(form) from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(form)
    return address


def _plain_address(address: str) -> str:
    url = httpx.URL(_web_address(address))
    if url.userinfo or url.query or url.fragment:
        # The address is displayed, and paths are appended to it.
        raise ValueError("must have neither a user nor a query")
    return address


def is_loopback(host: str) -> bool:
    """Return whether a host in lower case is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listening_address(address: str) -> str:
    form = "must be IP:PORT such as 127.0.0.1:9464 or [::1]:9464"
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) <= MAX_PORT:
        raise ValueError(form)
    try:
        ip = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise ValueError(form) from None
    if (ip.version == 6) != host.startswith("["):  # noqa: PLR2004 - IPv6
        raise ValueError(form)
    return address


def _people(names: Sequence[str]) -> Sequence[str]:
    for position, name in enumerate(names, start=1):
        if not name.isprintable() or len(name) > MAX_PERSON:
            raise ValueError(f"name {position} must be printable and of at most {MAX_PERSON} characters")
    return names


def _publishers(names: Sequence[str]) -> Sequence[str]:
    for position, name in enumerate(names, start=1):
        try:
            TypeAdapter(PublisherId).validate_python(name)
        except ValidationError:
            raise ValueError(f"entry {position} is not a publisher ID") from None
    return names


def _deployment_name(name: str) -> str:
    # With a dot or a colon in the name, Temporal silently keeps the worker waiting forever.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9/_-]{0,99}", name):
        raise ValueError(
            "must be at most 100 letters, digits, hyphens, underscores and slashes, the first a letter or a digit"
        )
    return name


def _build_id(build_id: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9./:@+_-]{0,99}", build_id):
        raise ValueError(
            "must be at most 100 letters, digits and characters of ./:@+_-, the first a letter or a digit"
        )
    return build_id


def _separated(value: object) -> object:
    """Split a list at its commas."""
    if not isinstance(value, str):
        return value
    names = [name.strip() for name in value.split(",")]
    if not all(names):
        raise ValueError("must be names separated by commas, none of them empty")
    return names


def _secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().strip()  # a secret read from a file ends with a line break
    if len(text) < SHORTEST_SECRET:
        raise ValueError(f"must be a secret of at least {SHORTEST_SECRET} characters")
    return SecretStr(text)


def read_encryption_keys(text: str) -> dict[str, bytes]:
    """Read ``id:base64 key[,id:base64 key]``.

    Raises:
        ValueError: The form is wrong. The error gives the position of the entry: its first part may be the key.
    """
    keys = {}
    for position, (key_id, key) in enumerate(_pairs(text, ":", "id:base64 key[,id:base64 key]").items(), start=1):
        keys[key_id] = _decoded(position, key)
        if len(keys[key_id]) not in KEY_SIZES:
            raise ValueError(f"the key of entry {position} must have 16, 24 or 32 bytes")
    return keys


def _storage_account_keys(text: str) -> dict[str, str]:
    keys = _pairs(text, "=", "account=key[,account=key]")
    for position, key in enumerate(keys.values(), start=1):
        _decoded(position, key)
    return keys


def _pairs(text: str, separator: str, form: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for position, pair in enumerate(text.split(","), start=1):
        name, found, value = pair.strip().partition(separator)
        if not found or not name or not value:
            raise ValueError(f"must be {form}; entry {position} is not")
        if name in pairs:
            raise ValueError(f"must be {form}; entry {position} repeats the name of an earlier one")
        pairs[name] = value
    return pairs


def _decoded(position: int, key: str) -> bytes:
    try:
        return base64.b64decode(key, validate=True)
    except ValueError:
        raise ValueError(f"the key of entry {position} is not base64") from None


PlainAddress: TypeAlias = Annotated[str, AfterValidator(_plain_address)]
DeploymentName: TypeAlias = Annotated[str, AfterValidator(_deployment_name)]
BuildId: TypeAlias = Annotated[str, AfterValidator(_build_id)]
Secret: TypeAlias = Annotated[SecretStr, AfterValidator(_secret)]
Names: TypeAlias = Annotated[Sequence[str], NoDecode, BeforeValidator(_separated)]
EncryptionKeys: TypeAlias = Annotated[
    Mapping[str, bytes], NoDecode, BeforeValidator(read_encryption_keys), Field(repr=False, validate_default=False)
]
StorageAccountKeys: TypeAlias = Annotated[
    Mapping[str, str], NoDecode, BeforeValidator(_storage_account_keys), Field(repr=False, validate_default=False)
]


class SharedSettings(BaseSettings):
    """The settings that the worker shares with other programs. An empty variable counts as unset.

    Attributes:
        payload_encryption_keys: The key of each key ID. The first one encrypts.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True, hide_input_in_errors=True)

    temporal_task_queue: str = "offer-publishing"
    payload_encryption_keys: EncryptionKeys = {}


class Settings(SharedSettings):
    """The settings of ``python -m worker``.

    Attributes:
        azure_storage_account_keys: The base64 key of each storage account.
    """

    temporal_deployment_name: DeploymentName | None = None
    temporal_deployment_build_id: BuildId | None = None
    marketplace_api: Literal["cloud-partner", "product-ingestion"] = "cloud-partner"
    marketplace_schema_version: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d(-preview\d{1,3})?$")] | None = None
    marketplace_publishers: Annotated[Names, AfterValidator(_publishers)] = ()
    marketplace_access_token: SecretStr | None = None
    marketplace_url: PlainAddress | None = None
    marketplace_requests_per_second: Annotated[float, Field(ge=0.1, le=10_000)] | None = None
    azure_tenant_id: str | None = None
    azure_storage_account_keys: StorageAccountKeys = {}
    go_live_approvers: Annotated[Names, AfterValidator(_people)] = ()
    notify_webhook_url: SecretStr | None = None
    notify_format: Format = Format.JSON
    notify_secret: Secret | None = None
    temporal_ui_url: PlainAddress | None = None
    metrics_address: Annotated[str, AfterValidator(_listening_address)] | None = None
    otel_exporter_otlp_endpoint: PlainAddress | None = None
    otel_exporter_otlp_protocol: Literal["http/protobuf"] = "http/protobuf"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, level: Any) -> Any:
        return level.upper() if isinstance(level, str) else level

    @field_validator("temporal_deployment_build_id")
    @classmethod
    def _both_or_none(cls, build_id: str | None, info: ValidationInfo) -> str | None:
        name = info.data.get("temporal_deployment_name", "a wrong one")
        if name is not None and build_id is None:
            raise ValueError("must be set if TEMPORAL_DEPLOYMENT_NAME is set")
        if name is None and build_id is not None:
            raise ValueError("has no meaning without TEMPORAL_DEPLOYMENT_NAME")
        return build_id

    @field_validator("marketplace_access_token")
    @classmethod
    def _token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None:
            text = token.get_secret_value().strip()
            if not text or not text.isascii() or not text.isprintable() or " " in text:
                raise ValueError("must be a token as Microsoft Entra issues them: no blanks, ASCII only")
        return token

    @field_validator("marketplace_url")
    @classmethod
    def _no_entra_token_in_clear_text(cls, address: str | None, info: ValidationInfo) -> str | None:
        if address is not None and info.data.get("marketplace_access_token") is None:
            url = httpx.URL(address)
            if url.scheme == "http" and not is_loopback(url.host):
                raise ValueError(
                    "must begin with https://: a token of Microsoft Entra is never sent in clear text. http:// is"
                    " accepted for loopback addresses, and with MARKETPLACE_ACCESS_TOKEN"
                )
        return address

    @field_validator("notify_webhook_url")
    @classmethod
    def _webhook(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            _web_address(url.get_secret_value())
        return url

    def deployment_version(self) -> WorkerDeploymentVersion | None:
        """Return the worker deployment version, if there is one."""
        name, build_id = self.temporal_deployment_name, self.temporal_deployment_build_id
        return WorkerDeploymentVersion(name, build_id) if name is not None and build_id is not None else None


class CodecServerSettings(SharedSettings):
    """The settings of ``python -m worker.codec_server``: the worker's keys, and an access token."""

    codec_server_token: Secret | None = None


AnySettings = TypeVar("AnySettings", bound=SharedSettings)


def read_settings(program: type[AnySettings]) -> AnySettings:
    """Read the settings of a program from the environment.

    Raises:
        SettingsError: A variable is wrong. The error names the first one and the reason.
    """
    try:
        return program()
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name, reason = str(wrong["loc"][0]).upper(), wrong["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name}: {reason}") from None
