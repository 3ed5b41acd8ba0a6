"""Switches: how the marketplace behaves where its documentation contradicts itself or says nothing."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Switches(BaseModel):
    """The switches of one publisher. The defaults are the behaviour that the documentation makes most likely."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Operations
    location_form: Literal["relative", "absolute", "old_relative", "operation_location_absolute", "none"] = Field(
        default="relative", description="the header that says where an operation is, and the form of its address"
    )
    operation_as_array: bool = Field(default=False, description="true: an operation comes in an array of one")
    operation_table_members: bool = Field(
        default=False,
        description="an operation also has id, submissionType, createdDateTime, lastActionDateTime and error",
    )
    running_word: str = Field(default="running", description="the status of a running operation")
    success_word: str = Field(default="completed", description="the status of an operation that has succeeded")
    failure_word: str = Field(default="failed", description="the status of an operation that has failed")
    cancel_word: str = Field(default="canceled", description="the status of an operation that was cancelled")
    word_case: Literal["as_is", "upper", "pascal"] = Field(
        default="as_is", description="the letter case of every status"
    )
    step_words: Literal["status_page", "operations_page"] = Field(
        default="status_page",
        description="the page of the documentation from which the words for the state of a step come",
    )
    progress_key: Literal["progressPercentage", "processPercentage"] = Field(
        default="progressPercentage", description="the member that holds the progress of a step"
    )
    messages_as_strings: bool = Field(default=False, description="true: the messages of a step are plain strings")
    submissions_available: bool = Field(default=True, description="false: GET …/submissions is answered 404")
    submissions_filter_ignored: bool = Field(
        default=False, description="true: GET …/submissions lists all operations, whatever status was asked for"
    )
    submissions_order: Literal["newest_first", "oldest_first", "shuffled"] = Field(
        default="newest_first", description="the order of operations and submissions in lists"
    )
    migrated: bool = Field(
        default=True,
        description="true: operations have no notificationEmails, as after the move to Partner Center",
    )
    step_durations: dict[str, float] = Field(
        default_factory=dict, description="seconds that each step takes, by step ID"
    )

    # Sign-off and going live
    sign_off_by: Literal["step_id", "step_name", "offer_status", "operation_completed"] = Field(
        default="step_id", description="what shows that a preview waits for sign-off"
    )
    offer_status_at_sign_off: Literal["waitingForPublisherReview", "running"] = Field(
        default="waitingForPublisherReview", description="the offer's status while a preview waits for sign-off"
    )
    status_contradiction: bool = Field(
        default=False, description="true: the offer's status is `succeeded` while steps still run or wait"
    )
    list_success_word: str = Field(
        default="succeeded",
        description="the status of a live offer in the list of offers; one sample has `published`",
    )
    version_increment: Literal["go_live", "publish"] = Field(
        default="go_live", description="what increments the version of an offer"
    )
    preview_lag_seconds: float = Field(default=0, ge=0, description="seconds from the sign-off to the preview")
    production_lag_seconds: float = Field(default=0, ge=0, description="seconds from going live to Production")
    preview_cleared_after_go_live: bool = Field(default=False, description="true: a go-live empties the preview")

    # Publishing and cancelling
    publish_body_required: bool = Field(default=False, description="true: a publish without a body is refused")
    length_required: bool = Field(default=False, description="true: a POST without Content-Length is answered 411")
    second_publish: Literal["refuse", "replace", "join"] = Field(
        default="refuse",
        description="a publish while another draft is published: refuse it, cancel the first, or join the first",
    )
    edits_while_running: Literal["accept", "refuse"] = Field(
        default="accept",
        description="a change of the draft while an operation is in progress, but not at sign-off",
    )
    conflict_status: Literal[400, 409] = Field(
        default=400, description="the answer to a call that an operation in progress forbids"
    )
    cancel_async: bool = Field(default=False, description="true: a cancel takes `cancel_seconds`")
    cancel_seconds: float = Field(default=60, ge=0, description="seconds that an asynchronous cancel takes")
    cancel_window: Literal["any", "sign_off_only", "before_sign_off"] = Field(
        default="any", description="when a publish can be cancelled"
    )
    cancel_idle_status: Literal[200, 400] = Field(
        default=400, description="the answer to a cancel when no operation is in progress"
    )
    cancel_location: Literal["header", "body"] = Field(
        default="header", description="where the answer to a cancel says which operation to follow"
    )
    cancel_has_own_operation: bool = Field(
        default=False, description="true: an asynchronous cancel is an operation with its own ID"
    )

    # Concurrency
    etag_on_get: bool = Field(default=True, description="whether the answer to a GET has an ETag")
    etag_on_put: bool = Field(default=True, description="whether the answer to a PUT has an ETag")
    etag_in_body: bool = Field(default=False, description="true: the document has the ETag too, as `eTag`")
    if_match_required: Literal["put_existing", "every_call", "never"] = Field(
        default="put_existing", description="the calls that need the header If-Match"
    )
    if_match_missing_status: Literal[400, 412, 428] = Field(
        default=400, description="the answer to a call that lacks If-Match"
    )
    create_status: Literal[200, 201] = Field(default=201, description="the answer to the PUT of a new offer")

    # Documents
    normalize_documents: bool = Field(
        default=True, description="whether the service adds, drops and rewrites members of a document"
    )
    windows_os_type_dropped: Literal["put_response", "everywhere", "never"] = Field(
        default="put_response", description="the answers that lack the plan's windowsOSType"
    )
    changed_time_in_definition: bool = Field(
        default=False, description="true: `changedTime` is a member of `definition`"
    )
    secrets_returned: bool = Field(
        default=False, description="true: documents are answered with the secrets of lead systems"
    )
    version_limit: int = Field(
        default=8, ge=0, description="most image versions of a plan that is not core VM; 0: no limit"
    )
    max_data_disks: int = Field(default=16, ge=0, description="most data disks of an image")

    # Images
    validate_sas: bool = Field(default=True, description="whether certification fails on a disk it cannot copy")
    sas_clock: Literal["wall", "sandbox"] = Field(
        default="wall",
        description="the clock by which a SAS is valid; clients sign by the wall clock",
    )
    sas_hosts: list[str] = Field(
        default=["*.blob.core.windows.net"], description="the hosts that disks may be on, as patterns"
    )
    sas_min_days: float = Field(default=21, ge=0, description="days for which a SAS must still be valid")
    published_sas_checked: bool = Field(
        default=False, description="true: a publish also fails if the SAS of a published image has expired"
    )

    # Product Ingestion: jobs
    draft_job_reads: int = Field(
        default=1, ge=0, description="how many reads of its status still find a draft job running"
    )
    draft_job_seconds: float | None = Field(
        default=None, ge=0, description="seconds that a draft job takes, however often its status is read"
    )
    draft_changes: Literal["accepted", "completed"] = Field(
        default="accepted", description="when the draft changes: with the answer 202, or when the job has completed"
    )
    failed_jobs_apply: Literal["nothing", "others", "everything"] = Field(
        default="nothing",
        description="what a failed draft job writes: nothing, the resources without errors, or everything",
    )
    refuse_at: Literal["job", "http"] = Field(
        default="job", description="how a broken rule shows: the job fails, or the request is answered 400"
    )
    error_details: Literal["array", "object", "absent"] = Field(
        default="array", description="`details` of an error that has none: [], {} or absent"
    )
    job_id_spelling: Literal["jobId", "jobID"] = Field(
        default="jobId", description="the member that holds the ID of a job"
    )
    job_retention_seconds: float | None = Field(
        default=None, ge=0, description="seconds after which an ended job is answered 404"
    )

    # Product Ingestion: submissions
    submission_after_seconds: float = Field(default=0, ge=0, description="seconds until a new submission is listed")
    after_go_live: Literal["live_only", "second_live", "preview_and_live"] = Field(
        default="live_only",
        description="what is listed after a go-live: the live submission, also the one before, or also the preview",
    )
    preview_after_failed_go_live: bool = Field(
        default=True, description="true: the preview stays, and its go-live can be repeated"
    )
    canceled_submission: Literal["gone", "failed", "cancelled"] = Field(
        default="gone", description="the result of a cancelled submission, or gone: it is not found"
    )
    contention: Literal["409", "423", "400", "job"] = Field(
        default="409",
        description="how a request is refused while a submission is in progress: by status, or by a job that fails",
    )

    # Product Ingestion: trees and resources
    tree_absent_status: Literal[400, 404] = Field(
        default=400, description="the answer to a GET of a preview or live tree that does not exist"
    )
    no_pending_draft: Literal["shown", "resource_404", "absent"] = Field(
        default="shown",
        description="how a draft without changes is answered: as any other, 404 for a resource, or also no tree",
    )
    retired_schema_host_on_read: bool = Field(
        default=True, description="true: the $schema of `property` has the retired host"
    )
    stale_draft_booleans: bool = Field(
        default=False, description="true: the draft shows false for some vmProperties that are true in live"
    )
    asset_type_case: Literal["camel", "pascal"] = Field(
        default="camel", description="the letter case of the type of a listing asset"
    )
    schema_version_required: bool = Field(default=False, description="true: a call without $version is answered 400")
    ceiling_hides: Literal["nothing", "newer_configurations", "gallery_versions"] = Field(
        default="nothing", description="image versions that are left out, without an error, under a low $version"
    )
    configuration_schema: Literal["any", "newest"] = Field(
        default="any", description="the schema versions in which a technical configuration can be written"
    )
    configuration_id: Literal["accepted", "refused"] = Field(
        default="accepted", description="whether a technical configuration may be sent with its id"
    )
    active_version_limit: int = Field(
        default=100, ge=0, description="most active image versions of a plan; 0: no limit"
    )
    page_size: int = Field(default=100, ge=1, description="items on a page, unless $maxpagesize is lower")

    # Form of answers
    timestamp_fraction: int = Field(default=7, ge=0, le=9, description="fractional digits of a timestamp")
    timestamp_zone: bool = Field(default=True, description="whether a timestamp ends in Z")
    error_shape: Literal["documented", "string", "message_only", "list", "odata", "empty", "html", "truncated"] = (
        Field(default="documented", description="the form of an error's body")
    )
    forbidden: bool = Field(default=False, description="true: every call is answered 403")

    def changed(self) -> dict[str, object]:
        """Return the switches that are not at their defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)
