"""What the gateway is told by flags, environment (`INTELGRAPH_…`, `__` between levels) and `intelgraph.toml`.

Flags win over the environment, the environment over the file. Every refusal names the setting and its fix.
"""

import difflib
import hashlib
import ipaddress
import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from intelgraph.ingest.settings import IngestSettings
from intelgraph.keys.settings import KeySettings
from intelgraph.operations.settings import OperationSettings
from intelgraph.provenance.settings import LedgerSettings
from intelgraph.storage.settings import StorageSettings

DEFAULT_FILE: Final = Path("intelgraph.toml")
ENVIRONMENT_PREFIX: Final = "INTELGRAPH_"
CLIENT_VARIABLES: Final = frozenset(
    f"{ENVIRONMENT_PREFIX}{name}"
    for name in ("CONFIG", "SERVER", "TOKEN", "CA", "CERTIFICATE", "KEY", "TENANT")
)
"""Variables of the same prefix that the client side of the command line reads."""


@dataclass(frozen=True, slots=True)
class WrongSetting:
    """A setting that cannot be used; `name` is its path, empty where several do not fit together."""

    name: str
    problem: str


class ConfigurationError(Exception):
    """The gateway cannot start as it is told. Contains no value of any setting."""

    def __init__(self, wrong: tuple[WrongSetting, ...]) -> None:
        super().__init__(
            "; ".join(f"{each.name}: {each.problem}" if each.name else each.problem for each in wrong)
        )
        self.wrong = wrong

    def __reduce__(self) -> tuple[type[Self], tuple[tuple[WrongSetting, ...]]]:
        """Crosses from a worker to its supervisor."""
        return type(self), (self.wrong,)


def is_loopback(host: str) -> bool:
    """Whether only this host reaches a listener on `host`. Names but `localhost` may mean anything."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _source_of_keys(value: str) -> str:
    """A path, an https URL, or an http URL on loopback: over plain HTTP anyone on the way could add a key."""
    parts = urlsplit(value)
    if parts.scheme in {"", "https"}:
        return value
    if parts.scheme == "http" and is_loopback(parts.hostname or ""):
        return value
    raise ValueError("must be a file, an https:// URL, or an http:// URL on loopback")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GrpcSettings(_Part):
    """Where the RPCs are served."""

    host: str = Field(
        default="127.0.0.1", description="address to listen on; beyond loopback needs tls and auth"
    )
    port: int = Field(default=7443, ge=0, le=65535, description="0 takes a free one")
    max_message_bytes: int = Field(
        default=16 << 20, ge=1 << 20, le=256 << 20, description="largest message that is received"
    )


class HttpSettings(_Part):
    """Where metrics, liveness and readiness are served."""

    host: str = Field(
        default="127.0.0.1", description="address to listen on; beyond loopback needs tls and auth"
    )
    port: int = Field(default=7480, ge=0, le=65535, description="0 takes a free one")


class TlsSettings(_Part):
    """PEM files, read again when they change."""

    certificate: Path | None = Field(default=None, description="the gateway's certificate with its chain")
    key: Path | None = Field(default=None, description="its private key")
    client_ca: Path | None = Field(default=None, description="CA of the certificates that clients must show")
    trust_domain: str | None = Field(
        default=None, description="SPIFFE trust domain of the client certificates that name a tenant"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: set both or none")
        if self.client_ca is not None and self.certificate is None:
            raise ValueError("client_ca needs certificate and key: clients show theirs only over TLS")
        if (self.client_ca is None) != (self.trust_domain is None):
            raise ValueError(
                "client_ca and trust_domain go together: set trust_domain to the domain of your"
                " certificates' spiffe:// names"
            )
        return self


class AuthSettings(_Part):
    """Whose access tokens are accepted."""

    jwks: Annotated[str, AfterValidator(_source_of_keys)] | None = Field(
        default=None,
        description="JSON Web Key Set of the issuer: a file or URL; unset, a loopback gateway signs its own",
    )
    audience: str = Field(default="intelgraph", min_length=1, description="`aud` that tokens must carry")
    issuer: str | None = Field(default=None, description="`iss` that tokens must carry, if set")
    leeway_s: float = Field(
        default=30, ge=0, le=300, description="difference of clocks that is borne, in seconds"
    )


class TracingSettings(_Part):
    """OpenTelemetry, with the extra `otel` installed."""

    otlp_endpoint: str | None = Field(
        default=None, description="OTLP/gRPC collector, for example http://host:4317"
    )


class Settings(BaseSettings):
    """All settings of a gateway."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    data_dir: Path = Field(
        default=Path("intelgraph-data"),
        description="where the gateway keeps what is its own: keys, PostgreSQL",
    )
    workers: int = Field(default=1, ge=1, le=64, description="processes that share the port")
    drain_s: float = Field(
        default=30, ge=0, le=600, description="time that calls have to end after SIGTERM, in seconds"
    )
    platform_tenant: str = Field(
        default="local",
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="tenant that administers the others; exists by itself",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least severity"
    )
    grpc: GrpcSettings = GrpcSettings()
    http: HttpSettings = HttpSettings()
    tls: TlsSettings = TlsSettings()
    auth: AuthSettings = AuthSettings()
    storage: StorageSettings = StorageSettings()
    keys: KeySettings = KeySettings()
    ingest: IngestSettings = IngestSettings()
    ledger: LedgerSettings = LedgerSettings()
    operations: OperationSettings = OperationSettings()
    tracing: TracingSettings = TracingSettings()

    @model_validator(mode="after")
    def _closed_beyond_loopback(self) -> Self:
        for name, host in (("grpc", self.grpc.host), ("http", self.http.host)):
            if not is_loopback(host) and self.tls.certificate is None:
                raise ValueError(
                    f"{name}.host is beyond loopback and tls.certificate is not set: set tls.certificate and"
                    f" tls.key, or {name}.host = 127.0.0.1"
                )
        if not is_loopback(self.grpc.host) and self.local_identity:
            raise ValueError(
                "grpc.host is beyond loopback and nobody can be authenticated: set auth.jwks or"
                " tls.client_ca, or grpc.host = 127.0.0.1"
            )
        if not is_loopback(self.http.host) and self.auth.jwks is None:
            raise ValueError(
                "http.host is beyond loopback and nobody can be allowed to read metrics: set auth.jwks, or"
                " http.host = 127.0.0.1"
            )
        return self

    @property
    def local_identity(self) -> bool:
        """Whether the gateway trusts the signing key in its own data directory."""
        return self.auth.jwks is None and self.tls.client_ca is None

    def digest(self) -> str:
        """SHA-256, hexadecimal, of all settings but secrets, which count as set or not."""
        document = self.model_dump(mode="json")
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, environment, file. No .env file is read: a working directory must not change the gateway."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(flags: Mapping[str, Any], file: Path | None = None) -> Settings:
    """The settings from `flags` (nested as the settings are), the environment and `file`.

    Without `file`, `intelgraph.toml` of the working directory is read if it is there. Raises
    ConfigurationError.
    """
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    if file is not None and not file.is_file():
        raise ConfigurationError((WrongSetting("config", f"{file} is not a file: name one that exists"),))
    wrong = tuple(_unknown_variables())
    if wrong:
        raise ConfigurationError(wrong)

    class Sourced(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    try:
        sourced = Sourced(**flags)
        # A plain instance can be handed to worker processes; a local class cannot be pickled.
        return Settings.model_construct(**{name: getattr(sourced, name) for name in Settings.model_fields})
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError((WrongSetting("config", f"{file} is not TOML: {error}"),)) from None
    except SettingsError as error:
        raise ConfigurationError((WrongSetting("environment", f"{error}: give JSON, or use `__`"),)) from None
    except ValidationError as error:
        raise ConfigurationError(tuple(_described(error, file))) from None


def _unknown_variables() -> Iterator[WrongSetting]:
    """Variables with our prefix that mean nothing: a misspelt one would be passed over in silence."""
    known = {f"{ENVIRONMENT_PREFIX}{name}".upper() for name in Settings.model_fields} | CLIENT_VARIABLES
    for variable in sorted(os.environ):
        if variable.startswith(ENVIRONMENT_PREFIX) and variable.split("__")[0] not in known:
            yield WrongSetting(variable, f"no such setting{_nearest(variable, known)}: unset the variable")


def _described(error: ValidationError, file: Path | None) -> Iterator[WrongSetting]:
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        path = tuple(str(step) for step in each["loc"])
        holder = _model_at(path[:-1])
        problem = each["msg"].removeprefix("Value error, ")
        if each["type"] == "extra_forbidden":
            problem = f"no such setting{_nearest(path[-1], holder.model_fields)}: remove it"
        elif (
            path
            and path[-1] in holder.model_fields
            and (meaning := holder.model_fields[path[-1]].description)
        ):
            problem = f"{problem}; change it in {_origin(path, file)} (it is: {meaning})"
        yield WrongSetting(".".join(path), problem)


def _model_at(path: tuple[str, ...]) -> type[BaseModel]:
    model: type[BaseModel] = Settings
    for step in path:
        field = model.model_fields.get(step)
        if field is None or not (
            isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        ):
            break
        model = field.annotation
    return model


def _origin(path: tuple[str, ...], file: Path | None) -> str:
    variable = ENVIRONMENT_PREFIX + "__".join(path).upper()
    if variable in os.environ:
        return f"the variable {variable}"
    return f"the flags or {file}" if file is not None else f"the flags or the variable {variable}"


def _nearest(name: str, known: Iterable[str]) -> str:
    match = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {match[0]}?" if match else ""
