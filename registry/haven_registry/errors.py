"""What the registry's services raise; see haven_core.errors for the meaning of the codes.

`status` is what /v2 answers; `api_status`, where it is set, what /api answers to the same fact.
"""

from collections.abc import Iterable

from haven_core.errors import HavenError, TooManyRequests


class RepositoryUnknown(HavenError):
    """No live repository of that name or id."""

    status = 404
    oci_code = "NAME_UNKNOWN"
    api_code = "NOT_FOUND"
    message = "repository not known to registry"


class _Digests(HavenError):
    """Carries the digests that are at fault, sorted."""

    def __init__(self, digests: Iterable[str]) -> None:
        self.digests = sorted(digests)
        super().__init__(f"{self.message}: {', '.join(self.digests[:10])}", detail={"digests": self.digests})


class BlobUnknown(_Digests):
    """The repository has no such blob, or doesn't show it any more."""

    status = 404
    oci_code = "BLOB_UNKNOWN"
    api_code = "NOT_FOUND"
    message = "blob unknown to registry"


class ManifestBlobUnknown(_Digests):
    """A manifest names blobs or manifests that its repository doesn't have; /v2 answers with one error per digest."""

    status = 400
    oci_code = "MANIFEST_BLOB_UNKNOWN"
    api_code = "BAD_REQUEST"
    message = "manifest references content unknown to the repository"


class BlobReferenced(_Digests):
    """A live manifest names the blob; it goes with the manifest only. 405 is what distribution-spec end-10 offers."""

    status = 405
    api_status = 412
    oci_code = "UNSUPPORTED"
    api_code = "PRECONDITION"
    message = "blob is part of a manifest; delete the manifest"


class ManifestUnknown(HavenError):
    """The repository has no live manifest of that digest."""

    status = 404
    oci_code = "MANIFEST_UNKNOWN"
    api_code = "NOT_FOUND"
    message = "manifest unknown"


class ManifestReferenced(HavenError):
    """A live index names the manifest. 405, as distribution-spec end-9 has no answer for "not on its own": clients
    don't retry it; Harbor's API says 412."""

    status = 405
    api_status = 412
    oci_code = "UNSUPPORTED"
    api_code = "PRECONDITION"
    message = "manifest is part of an index; delete the index"


class TagUnknown(HavenError):
    """The repository has no such tag. On /v2 a tag is a reference to a manifest."""

    status = 404
    oci_code = "MANIFEST_UNKNOWN"
    api_code = "NOT_FOUND"
    message = "tag unknown"


class TagsChanged(HavenError):
    """The tags were pushed, moved or added since it was decided that they go; nothing was changed."""

    status = 412
    oci_code = "DENIED"
    api_code = "PRECONDITION"
    message = "the tags changed meanwhile"


class TagsTaken(HavenError):
    """Tags would come back under names that mean something else by now; nothing was changed."""

    status = 409
    oci_code = "DENIED"
    api_code = "CONFLICT"
    message = "the names are taken"

    def __init__(self, names: Iterable[str]) -> None:
        self.names = sorted(names)
        shown = ", ".join(self.names[:10])
        super().__init__(f"tags {shown} mean other artifacts by now: keep or overwrite them, or give another name")


class InTrash(HavenError):
    """The artifact is in the trash, and the caller may not take it out."""

    status = 409
    oci_code = "DENIED"
    api_code = "CONFLICT"
    message = "the artifact is in the trash; restore it first"


class NeverMeant(HavenError):
    """A tag can go back only to what it meant before."""

    status = 404
    oci_code = "MANIFEST_UNKNOWN"
    api_code = "NOT_FOUND"
    message = "the tag never named that artifact"


class UploadUnknown(HavenError):
    """No such upload session, or not one of this caller and repository."""

    status = 404
    oci_code = "BLOB_UPLOAD_UNKNOWN"
    api_code = "NOT_FOUND"
    message = "blob upload unknown to registry"


class TooManyUploads(TooManyRequests):
    """The caller has as many open upload sessions as one may (HAVEN_MAX_OPEN_UPLOADS)."""

    message = "too many open uploads: finish or cancel some, or wait until they end"


class UploadConflict(HavenError):
    """Another request changed the upload session first; the client asks for its state and goes on from there."""

    status = 416
    oci_code = "RANGE_INVALID"
    api_code = "CONFLICT"
    message = "another request is writing to this upload"


class SizeInvalid(HavenError):
    """A body is not as long as its headers say."""

    status = 400
    oci_code = "SIZE_INVALID"
    api_code = "BAD_REQUEST"
    message = "the body is not as long as its headers say"


class PaginationInvalid(HavenError):
    """n or last can't be used."""

    status = 400
    oci_code = "PAGINATION_NUMBER_INVALID"
    api_code = "BAD_REQUEST"
    message = "invalid number of results requested"


class TooManyTags(HavenError):
    """More tags than one push by digest may name (distribution-spec end-7b)."""

    status = 414
    oci_code = "TAG_INVALID"
    api_code = "BAD_REQUEST"
    message = "too many tags in one request"


class PreconditionFailed(HavenError):
    """If-Match or If-None-Match doesn't hold; nothing was changed."""

    status = 412
    oci_code = "DENIED"
    api_code = "PRECONDITION"
    message = "the tag is not what the request expects"
