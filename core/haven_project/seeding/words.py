"""Names of people, projects and repositories, in a fixed order and each once."""

# ruff: noqa: SIM905  # words are easier to read and to change without quotes around each

from itertools import product

_FIRST = (
    "anna ben chen dora emil fatima george hana ivan jia karl lena mei nora omar priya quentin rosa sven tanja "
    "umar vera wei xenia yusuf zoe amir bella carlos diana"
).split()  # fmt: skip
_LAST = (
    "adler bauer costa dubois eriksen fischer garcia huang ito jansen keller lopez meyer novak okafor petrov "
    "quinn rossi singh tanaka ueda varga wang xu yilmaz zhang andersen brown clark davies"
).split()  # fmt: skip
_TEAMS = (
    "payments search billing identity catalog checkout shipping inventory pricing analytics reporting messaging "
    "mobile web platform security data media maps fraud support partners loyalty forecasting documents scheduling "
    "calendar archive gateway workflow machine-learning storage network observability compliance onboarding "
    "translation marketing finance research"
).split()  # fmt: skip
_AREAS = (
    "", "-core", "-api", "-data", "-apps", "-tools", "-infra", "-lab", "-eu", "-us", "-asia", "-beta", "-legacy",
    "-next", "-shared", "-batch", "-edge", "-jobs", "-models", "-internal", "-public", "-staging", "-partners",
    "-mobile", "-devices",
)  # fmt: skip
_THINGS = (
    "order invoice customer product cart payment refund coupon session token profile address image video report "
    "metric event alert message mail push sms feed search index cache queue job task file export import sync audit "
    "rate tax currency store stock supplier delivery route driver map geo weather price offer review rating comment "
    "chat ticket agent bot model feature experiment"
).split()  # fmt: skip
_PARTS = (
    "api worker web service gateway scheduler consumer producer proxy exporter migrator operator cli sidecar admin "
    "frontend backend indexer resolver loader"
).split()  # fmt: skip
_FOLDERS = ("", "backend/", "apps/", "charts/", "tools/", "legacy/")


def usernames(number: int) -> list[str]:
    """`anna.adler`, …"""
    return _first(number, [f"{first}.{last}" for last, first in product(_LAST, _FIRST)])


def project_names(number: int) -> list[str]:
    """`payments`, `search`, …, `payments-core`, …"""
    return _first(number, [team + area for area, team in product(_AREAS, _TEAMS)])


def repository_names(number: int) -> list[str]:
    """`order-api`, …, `backend/order-api`, …"""
    return _first(number, [f"{folder}{thing}-{part}" for folder, part, thing in product(_FOLDERS, _PARTS, _THINGS)])


def _first(number: int, names: list[str]) -> list[str]:
    """As many as are wanted; when they are used up, again with a number behind."""
    rounds = -(-number // len(names))
    numbered = [name if turn == 0 else f"{name}-{turn + 1}" for turn in range(rounds) for name in names]
    return numbered[:number]
