"""What makes a request valid that the OpenAPI documents cannot say: what was given out before, today's date, and values that
depend on each other. Only requests that follow their document are touched, the wrong ones are sent as they were made."""

import base64
import collections
import datetime
import io
import itertools
import json
import os
import pathlib
import zipfile

import requests
import schemathesis

ACCESS_TOKEN = os.environ["CONTRACT_ACCESS_TOKEN"]
FILES = pathlib.Path(os.environ["CONTRACT_FILES"])
# What there is; the test made it, and says in there.rs what it is.
THERE = json.loads((FILES / "there.json").read_text())
# How each operation was answered, for the test to read.
ANSWERS = (FILES / "answers.txt").open("a", buffering=1)
# Another account: a sign-in too many must not end the session all requests are made with.
OTHER = THERE["other"]
# What there is, by the operation that shows it.
IDS = THERE["ids"]
# Of these it is the keeper's.
KEPT = ("show_export", "download_export")
# The session all requests are made with must not end: these do.
ENDING = ("sign_out", "end_session")
# Each is used up by one request; those that come too late are refused.
SESSIONS = THERE["sessions"]
ADMINISTRATORS = THERE["administrators"]
LEAVERS = THERE["leavers"]

ASKED = collections.Counter()
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
    operation = operation_of(case)
    if operation in ENDING:
        kwargs["auth"] = Bearer(SESSIONS[-1]["access_token"])
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    given_out(case)
    if every_other(operation):
        there(case, operation, kwargs)
    body = case.body
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
        body["current_password"] = body["new_password"] = THERE["password"]
    elif operation == "create_api_key" and isinstance(body, dict):
        if body.get("expires_at"):
            body["expires_at"] = (NOW + datetime.timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    elif operation == "log_in" and isinstance(body, dict):
        body.update(OTHER)
    elif operation == "import_recording":
        file(case, kwargs)


@schemathesis.hook
def after_call(context, case, response):
    operation = operation_of(case)
    # A wrong method is no question to the operation.
    if response.request.method.lower() == case.operation.method.lower():
        print(operation, response.status_code, file=ANSWERS)
    if operation in ENDING and response.status_code == 204 and len(SESSIONS) > 1:
        SESSIONS.pop()


def operation_of(case):
    return case.operation.definition.raw["operationId"]


def every_other(operation):
    """The first request, the third: others ask for what there is not, or follow a link."""
    ASKED[operation] += 1
    return ASKED[operation] % 2


def there(case, operation, kwargs):
    """Asks for what there is."""
    body = case.body
    if operation in IDS:
        case.path_parameters.update({name: IDS[operation] for name in case.path_parameters})
        if operation in KEPT:
            kwargs["auth"] = Bearer(THERE["keeper"])
    elif operation == "end_session":
        case.path_parameters["session_id"] = session_id(SESSIONS[-1]["access_token"])
    elif operation == "exchange_api_key" and isinstance(body, dict):
        body["api_key"] = THERE["api_key"]
    elif operation == "refresh_session" and isinstance(body, dict) and len(SESSIONS) > 1:
        body["refresh_token"] = SESSIONS.pop(0)["refresh_token"]
    elif operation == "set_first_password" and isinstance(body, dict) and ADMINISTRATORS:
        body.update(ADMINISTRATORS.pop())
    elif operation == "erase_account" and isinstance(body, dict) and LEAVERS:
        leaver = LEAVERS.pop()
        body["password"] = leaver["password"]
        kwargs["auth"] = Bearer(leaver["access_token"])


class Bearer(requests.auth.AuthBase):
    """Another token instead of the one all requests are made with; a request without that stays without."""

    def __init__(self, token):
        self.token = token

    def __call__(self, request):
        if request.headers.get("Authorization") == f"Bearer {ACCESS_TOKEN}":
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def session_id(access_token):
    """The session a token is of."""
    claims = access_token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sid"]


def given_out(case):
    """Tokens, keys and cursors: text to a client, and text nobody was given is refused."""
    if case.headers.get("Consistency-Token") is not None:
        case.headers["Consistency-Token"] = THERE["consistency_token"]
    if "consistency_token" in case.query:
        case.query["consistency_token"] = THERE["consistency_token"]
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
