"""What makes a request valid that the OpenAPI documents cannot say: what was given out before, today's date, and values that
depend on each other. Only requests that follow their document are touched, the wrong ones are sent as they were made."""

import datetime
import io
import itertools
import os
import pathlib
import zipfile

import requests
import schemathesis

ACCESS_TOKEN = os.environ["CONTRACT_ACCESS_TOKEN"]
CONSISTENCY_TOKEN = os.environ["CONTRACT_CONSISTENCY_TOKEN"]
PASSWORD = os.environ["CONTRACT_PASSWORD"]
# Another account: a sign-in too many must not end the session all requests are made with.
OTHER_EMAIL = os.environ["CONTRACT_OTHER_EMAIL"]
OTHER_PASSWORD = os.environ["CONTRACT_OTHER_PASSWORD"]
# What there is, by the operation that shows it.
IDS = {
    "get_athlete": os.environ["CONTRACT_ATHLETE_ID"],
    "get_workout": os.environ["CONTRACT_WORKOUT_ID"],
    "get_recording": os.environ["CONTRACT_RECORDED_ID"],
    "get_original": os.environ["CONTRACT_RECORDED_ID"],
}
FILES = pathlib.Path(os.environ["CONTRACT_FILES"])

NUMBERS = itertools.count(1)
A_DAY = "2026-10-31"
AN_INSTANT = "2026-10-31T07:00:00Z"
NOW = datetime.datetime.now(datetime.timezone.utc)
# The limits of a measured value follow from its kind; these lie within those of every kind.
LOW, HIGH = 120, 150
# A file of each media type; of bytes without a type the first ones say what they are.
FILE_OF = {
    "application/gpx+xml": "activity.gpx",
    "application/vnd.garmin.tcx+xml": "activity.tcx",
    "application/vnd.ant.fit": "activity.fit",
    "application/octet-stream": "activity.gpx",
}


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    given_out(case)
    body = case.body
    operation = case.operation.definition.raw.get("operationId")
    if operation in IDS and next(NUMBERS) % 2:
        case.path_parameters["id"] = IDS[operation]
    if operation in ("log_workout", "edit_workout") and isinstance(body, dict):
        workout(body, operation == "edit_workout")
    elif operation == "record_measurement" and isinstance(body, dict):
        body["value"] = min(max(body["value"], LOW), HIGH)
        if not "1900-01-01" <= body["measured_on"] <= A_DAY:
            body["measured_on"] = A_DAY
    elif operation == "update_profile" and isinstance(body, dict):
        if isinstance(body.get("birth_year"), (int, float)):
            body["birth_year"] = min(body["birth_year"], NOW.year)
        time_zone(body)
    elif operation == "register_athlete" and isinstance(body, dict):
        # Not one of the most common, and not one that follows from address or name.
        body["password"] = f"a long enough password {next(NUMBERS)}"
        time_zone(body)
    elif operation == "set_first_password" and isinstance(body, dict):
        body["new_password"] = f"a long enough password {next(NUMBERS)}"
    elif operation == "change_password" and isinstance(body, dict):
        # To what it is, so that the next one knows it too.
        body["current_password"] = body["new_password"] = PASSWORD
    elif operation == "create_api_key" and isinstance(body, dict):
        if body.get("expires_at"):
            body["expires_at"] = (NOW + datetime.timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    elif operation == "log_in" and isinstance(body, dict):
        body["email"], body["password"] = OTHER_EMAIL, OTHER_PASSWORD
    elif operation == "import_recording":
        file(case, kwargs)


def given_out(case):
    """Tokens, keys and cursors: text to a client, and text nobody was given is refused."""
    if case.headers.get("Consistency-Token") is not None:
        case.headers["Consistency-Token"] = CONSISTENCY_TOKEN
    if "consistency_token" in case.query:
        case.query["consistency_token"] = CONSISTENCY_TOKEN
    # A key that was used for another request is refused.
    if case.headers.get("Idempotency-Key") is not None:
        case.headers["Idempotency-Key"] = f"contract-{next(NUMBERS)}"
    # Any version, or one that may be the current one; a link brings the current one.
    if not (case.headers.get("If-Match") or '"v').startswith('"v'):
        case.headers["If-Match"] = "*" if next(NUMBERS) % 2 else '"v1"'
    # No pattern knows how many days a month has.
    for name in ("from", "to"):
        if name in case.query and not is_date(case.query[name]):
            case.query[name] = A_DAY
    if "cursor" in case.query:
        next_page(case)


def next_page(case):
    """A cursor is good for the list it was given out with: so asks for the first page of this one."""
    query = {name: value for name, value in case.query.items() if name != "cursor"}
    headers = {"Authorization": f"Bearer {ACCESS_TOKEN}"}
    page = requests.get(case.operation.base_url + case.formatted_path, params=query | {"limit": 1}, headers=headers, timeout=10)
    cursor = page.json().get("next")
    case.query = query | ({"cursor": cursor} if cursor else {})


def workout(body, is_patch):
    """Not in the future, and no part longer than the whole."""
    if isinstance(body.get("started_at"), str) and not is_past(body["started_at"]):
        body["started_at"] = AN_INSTANT
    of_two(body, "moving_s", "duration_s", is_patch, else_high=3600)
    of_two(body, "average_heart_rate_bpm", "max_heart_rate_bpm", is_patch, else_high=180)


def of_two(body, low, high, is_patch, else_high):
    """One must not be above the other. A patch is laid over what is there: so it says both, or neither."""
    if is_patch and (body.get(low) is not None or body.get(high) is not None):
        body[high] = body.get(high) or else_high
        body[low] = body[high]
    elif body.get(low) is not None and body.get(high) is not None:
        body[low] = min(body[low], body[high])


def is_past(text):
    try:
        instant = datetime.datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
        return 1970 < instant.year and instant < NOW
    except (ValueError, TypeError, OverflowError):
        return False


def is_date(text):
    try:
        return bool(datetime.datetime.fromisoformat(text.upper().replace("Z", "+00:00").replace(" ", "+")))
    except ValueError:
        return False


def time_zone(body):
    """The names of time zones are a list of some hundred that grows."""
    if isinstance(body.get("time_zone"), str):
        body["time_zone"] = "Europe/Berlin"


def file(case, kwargs):
    """No schema describes a recording."""
    if case.media_type == "multipart/form-data":
        kwargs["files"] = {"file": ("activity.gpx", (FILES / "activity.gpx").read_bytes(), "application/gpx+xml")}
    elif case.media_type == "application/zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.write(FILES / "activity.gpx", "activity.gpx")
        kwargs["data"] = packed.getvalue()
    elif case.media_type in FILE_OF:
        kwargs["data"] = (FILES / FILE_OF[case.media_type]).read_bytes()
