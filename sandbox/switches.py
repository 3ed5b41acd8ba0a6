"""How one publisher's marketplace behaves where the documentation contradicts itself or says nothing."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

DAY = 86_400.0


class Switches(BaseModel):
    """Every switch with its default: the behaviour that the documentation makes most likely."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Operations
    location_form: Literal["relative", "absolute", "old_relative", "operation_location_absolute", "none"] = "relative"
    operation_as_array: bool = False
    operation_table_members: bool = Field(
        default=False, description="also id, submissionType, createdDateTime, lastActionDateTime, error"
    )
    running_word: str = "running"
    success_word: str = "completed"
    failure_word: str = "failed"
    cancel_word: str = "canceled"
    word_case: Literal["as_is", "upper", "pascal"] = "as_is"
    step_words: Literal["status_page", "operations_page"] = Field(
        default="status_page", description="the two pages name the states of a step differently"
    )
    progress_key: Literal["progressPercentage", "processPercentage"] = "progressPercentage"
    messages_as_strings: bool = False
    submissions_available: bool = Field(default=True, description="false: the list of operations answers 404")
    submissions_filter_ignored: bool = False
    submissions_order: Literal["newest_first", "oldest_first", "shuffled"] = "newest_first"
    migrated: bool = Field(default=True, description="a migrated offer shows no notificationEmails")
    step_durations: dict[str, float] = Field(default_factory=dict, description="seconds by step id")

    # Sign-off and going live
    sign_off_by: Literal["step_id", "step_name", "offer_status", "operation_completed"] = "step_id"
    offer_status_at_sign_off: Literal["waitingForPublisherReview", "running"] = "waitingForPublisherReview"
    status_contradiction: bool = Field(default=False, description="offer status `succeeded` while steps still wait")
    list_success_word: str = Field(
        default="succeeded", description="`published` occurs in a sample, not in the table"
    )
    version_increment: Literal["go_live", "publish"] = "go_live"
    preview_lag_seconds: float = Field(default=0, ge=0)
    production_lag_seconds: float = Field(default=0, ge=0)
    preview_cleared_after_go_live: bool = False

    # Publishing and cancelling
    publish_body_required: bool = False
    length_required: bool = Field(default=False, description="true: a POST without Content-Length is answered 411")
    second_publish: Literal["refuse", "replace", "join"] = Field(
        default="refuse",
        description="another draft is in progress: refuse, cancel that one, or answer with its id",
    )
    edits_while_running: Literal["accept", "refuse"] = Field(
        default="accept", description="a PUT of the draft while an operation is in progress, sign-off not counted"
    )
    conflict_status: Literal[400, 409] = 400
    cancel_async: bool = False
    cancel_seconds: float = Field(default=60, ge=0)
    cancel_window: Literal["any", "sign_off_only", "before_sign_off"] = "any"
    cancel_idle_status: Literal[200, 400] = 400
    cancel_location: Literal["header", "body"] = "header"
    cancel_has_own_operation: bool = Field(
        default=False, description="true: an asynchronous cancel is listed as an operation of its own"
    )

    # Concurrency
    etag_on_get: bool = True
    etag_on_put: bool = True
    etag_in_body: bool = False
    if_match_required: Literal["put_existing", "every_call", "never"] = "put_existing"
    if_match_missing_status: Literal[400, 412, 428] = 400
    create_status: Literal[200, 201] = 201

    # Documents
    normalize_documents: bool = True
    windows_os_type_dropped: Literal["put_response", "everywhere", "never"] = "put_response"
    changed_time_in_definition: bool = False
    secrets_returned: bool = False
    version_limit: int = Field(default=8, ge=0, description="image versions a plan; 0 is no limit; not for core VM")
    max_data_disks: int = Field(default=16, ge=0)

    # Images
    validate_sas: bool = True
    sas_clock: Literal["sandbox", "wall"] = "sandbox"
    sas_hosts: list[str] = ["*.blob.core.windows.net"]
    sas_min_days: float = Field(default=21, ge=0)

    # Form of answers
    timestamp_fraction: int = Field(default=7, ge=0, le=9)
    timestamp_zone: bool = True
    error_shape: Literal["documented", "string", "message_only", "list", "odata", "empty", "html", "truncated"] = (
        "documented"
    )
    forbidden: bool = False

    def changed(self) -> dict[str, object]:
        """The switches which are not at their defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)
