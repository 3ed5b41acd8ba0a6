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
    sas_clock: Literal["wall", "sandbox"] = Field(
        default="wall", description="the clock that signatures are judged by: they are made today, whatever the speed"
    )
    sas_hosts: list[str] = ["*.blob.core.windows.net"]
    sas_min_days: float = Field(default=21, ge=0)

    published_sas_checked: bool = Field(
        default=False, description="true: the addresses of published images must work as well, though nobody copies"
    )

    # Product Ingestion: jobs
    draft_job_reads: int = Field(
        default=1, ge=0, description="reads of its status at which a draft job still runs, whatever the time"
    )
    draft_job_seconds: float | None = Field(default=None, ge=0, description="a draft job takes this long instead")
    draft_changes: Literal["accepted", "completed"] = Field(
        default="accepted", description="whether the draft changes with the 202 or when the job has ended"
    )
    failed_jobs_apply: Literal["nothing", "others", "everything"] = Field(
        default="nothing", description="what a failed draft job has written: resources are processed one by one"
    )
    refuse_at: Literal["job", "http"] = Field(
        default="job", description="what breaks a rule fails the job or is answered 400"
    )
    error_details: Literal["array", "object", "absent"] = Field(
        default="array", description="`details` of an error without any: [], {} or not there"
    )
    job_id_spelling: Literal["jobId", "jobID"] = "jobId"
    job_retention_seconds: float | None = Field(default=None, ge=0, description="ended jobs are forgotten then: 404")

    # Product Ingestion: submissions
    submission_after_seconds: float = Field(default=0, ge=0, description="a submission is listed so much later")
    after_go_live: Literal["live_only", "second_live", "preview_and_live"] = Field(
        default="live_only",
        description="what is listed once a preview went live: it alone, also the one before, also the preview",
    )
    preview_after_failed_go_live: bool = Field(
        default=True, description="whether the preview stays, and its go-live can be tried again"
    )
    canceled_submission: Literal["gone", "failed", "cancelled"] = "gone"
    contention: Literal["409", "423", "400", "job"] = Field(
        default="409", description="how a request is refused because another is in progress"
    )

    # Product Ingestion: trees and resources
    tree_absent_status: Literal[400, 404] = 400
    no_pending_draft: Literal["shown", "resource_404", "absent"] = Field(
        default="shown", description="of a draft that is live: a resource, or the tree too, may be missing"
    )
    retired_schema_host_on_read: bool = Field(default=True, description="on `property`, as the service does")
    stale_draft_booleans: bool = Field(default=False, description="the draft shows false for what is true in live")
    asset_type_case: Literal["camel", "pascal"] = "camel"
    schema_version_required: bool = Field(default=False, description="a call without $version is answered 400")
    ceiling_hides: Literal["nothing", "newer_configurations", "gallery_versions"] = Field(
        default="nothing", description="image versions that a low $version silently leaves out"
    )
    configuration_schema: Literal["any", "newest"] = Field(
        default="any", description="the versions of a technical configuration that can be written"
    )
    configuration_id: Literal["accepted", "refused"] = Field(
        default="accepted", description="whether a technical configuration may be sent with its own id"
    )
    active_version_limit: int = Field(default=100, ge=0, description="active image versions a plan; 0 is no limit")
    page_size: int = Field(default=100, ge=1, description="items a page unless $maxpagesize asks for fewer")

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
