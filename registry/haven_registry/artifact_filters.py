"""Harbor's `q` of the list of artifacts, where a key is no column."""

from collections.abc import Callable, Mapping

from django.db.models import Exists, OuterRef, Q, QuerySet

from haven_core.domain.conditions import Condition, Match
from haven_core.errors import BadRequest
from haven_registry.artifacts import kinds
from haven_registry.models import ArtifactLabel, Manifest, ManifestChild, Tag
from haven_registry.oci.digest import Digest
from haven_registry.oci.errors import DigestInvalid

COSIGN_TAGS = r"^sha(256|512)-[0-9a-f]+\.(sig|att|sbom)$"


def is_tagged() -> Q:
    """Manifests that have a tag."""
    return Q(Exists(Tag.objects.filter(manifest_id=OuterRef("pk"))))


def is_accessory() -> Q:
    """Manifests that belong to another: by their subject, or by a tag in Cosign's scheme, if they are what Cosign puts
    there; a tag alone hides no image."""
    return Q(subject_digest__isnull=False) | Q(Exists(_own_cosign_tags()))


def independent(manifests: "QuerySet[Manifest]") -> "QuerySet[Manifest]":
    """Those that are no accessory. A condition of its own for each reason, so that PostgreSQL makes an anti-join of the
    one about tags; below an OR it would read all of them and be taken for so costly that it is compiled first."""
    return manifests.filter(~Q(Exists(_own_cosign_tags())), subject_digest__isnull=True)


def standing_alone(manifests: "QuerySet[Manifest]") -> "QuerySet[Manifest]":
    """Those that are tagged or that no live index names; asked the other way round, for the same reason."""
    hidden = ManifestChild.objects.filter(
        ~Q(Exists(Tag.objects.filter(manifest_id=OuterRef("child_id")))),
        child_id=OuterRef("pk"),
        parent__deleted_at=None,
    )
    return manifests.filter(~Q(Exists(hidden)))


def cosign_tags() -> "QuerySet[Tag]":
    """Tags in Cosign's scheme whose manifest is what Cosign puts there. A range of names besides: within a repository the
    unique index answers it, whatever other tags there are."""
    named = Tag.objects.filter(name__gte="sha256-", name__lt="sha512.", name__regex=COSIGN_TAGS)
    return named.filter(manifest__kind__in=kinds.BY_COSIGN_TAG)


def _own_cosign_tags() -> "QuerySet[Tag]":
    return cosign_tags().filter(repository_id=OuterRef("repository_id"), manifest_id=OuterRef("pk"))


def tag_condition(condition: Condition) -> Q:
    """tags=v1, =~v, =* (any), =nil (none), ={a b}, =(a b)."""
    names = Tag.objects.filter(manifest_id=OuterRef("pk"))
    if condition.match is Match.EXACT and condition.value in ("*", "nil"):
        return is_tagged() if condition.value == "*" else ~is_tagged()
    if any("\0" in value for value in condition.values):
        raise BadRequest("invalid query string value")
    if condition.match is Match.ANY:
        return Q(Exists(names.filter(name__in=condition.values)))
    if condition.match is Match.ALL:
        return Q(*(Q(Exists(names.filter(name=name))) for name in condition.values))
    return Q(Exists(names.filter(**{f"name__{condition.match}": condition.value})))


def type_condition(condition: Condition) -> Q:
    """type=IMAGE, ={IMAGE CHART}, =~AGE, in any case."""
    values = [value.upper() for value in condition.values if "\0" not in value]
    if condition.is_fuzzy:
        return Q(kind__contains=values[0]) if values else Q(pk__in=())  # types have no other letters
    if condition.match not in (Match.EXACT, Match.ANY):
        raise BadRequest("type takes a match or a list")
    return Q(kind__in=values)


def digest_condition(condition: Condition) -> Q:
    """digest=sha256:…, ={…}. What is no digest matches nothing."""
    if condition.match not in (Match.EXACT, Match.ANY):
        raise BadRequest("digest takes an exact match or a list")
    return Q(digest__in=[value for value in condition.values if _is_digest(value)])


def label_condition(condition: Condition) -> Q:
    """labels=(1 2): all of them; =1, ={1 2}: any. By id."""
    if condition.match not in (Match.EXACT, Match.ANY, Match.ALL):
        raise BadRequest("labels takes ids")
    if not all(value.isascii() and value.isdigit() and len(value) < 19 for value in condition.values):
        raise BadRequest("labels takes ids")
    labels = ArtifactLabel.objects.filter(manifest_id=OuterRef("pk"))
    if condition.match is Match.ANY:
        return Q(Exists(labels.filter(label_id__in=condition.values)))
    return Q(*(Q(Exists(labels.filter(label_id=int(value)))) for value in condition.values))


CONDITIONS: Mapping[str, Callable[[Condition], Q]] = {
    "labels": label_condition,
    "tags": tag_condition,
    "type": type_condition,
    "digest": digest_condition,
}


def _is_digest(text: str) -> bool:
    try:
        Digest.parse(text)
    except DigestInvalid:
        return False
    return True
