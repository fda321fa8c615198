"""What to type to pull and push, with each client, so that it works as it is pasted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest

from haven_core.conf import config
from haven_portal.page import registry_host
from haven_registry.artifacts import kinds

COOKIE = "haven_client"
CLIENTS = ("docker", "podman", "nerdctl", "crictl", "ctr", "skopeo")
"""What pulls images; the first unless somebody chose another."""

# what a client must be told of a registry without TLS; docker is told in its daemon's configuration
_PLAIN = {
    "podman": " --tls-verify=false", "nerdctl": " --insecure-registry", "ctr": " --plain-http",
    "skopeo": " --src-tls-verify=false", "helm": " --plain-http", "oras": " --plain-http",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry as clients name it. is_plain: it speaks HTTP without TLS. client: who is going to pull images."""

    host: str
    is_plain: bool
    client: str

    @classmethod
    def of(cls, request: HttpRequest) -> "Registry":
        """As this browser reaches it, and with the client it chose."""
        chosen = request.COOKIES.get(COOKIE, "")
        scheme = urlsplit(config().external_url).scheme or request.scheme
        return cls(registry_host(request), scheme == "http", chosen if chosen in CLIENTS else CLIENTS[0])

    def pull(self, full_name: str, reference: str, kind: str = kinds.IMAGE) -> str:
        """The command that pulls `reference`, a tag or a digest, of a repository (with its project)."""
        mark = "@" if ":" in reference else ":"
        image = f"{self.host}/{full_name}{mark}{reference}"
        if kind == kinds.CHART:
            if mark == "@":
                return f"helm pull oci://{image}{self._flag('helm')}"
            return f"helm pull oci://{self.host}/{full_name} --version {reference}{self._flag('helm')}"
        if kind != kinds.IMAGE:
            return f"oras pull{self._flag('oras')} {image}"
        flag = self._flag(self.client)
        if self.client == "nerdctl":
            return f"nerdctl{flag} pull {image}"
        if self.client == "ctr":
            return f"ctr images pull{flag} {image}"
        if self.client == "skopeo":
            return f"skopeo copy{flag} docker://{image} dir:{full_name.rpartition('/')[2]}"
        return f"{self.client} pull{flag} {image}"

    def push(self, project: str, user: str) -> Sequence[tuple[str, Sequence[str]]]:
        """For each client, what signs in, names and pushes something of one's own into the project."""
        name = user or "USER"
        image = f"{self.host}/{project}/my-image:latest"
        flags = {client: self._flag(client) for client in ("podman", "nerdctl", "ctr", "helm", "oras")}
        insecure = flags["nerdctl"]
        return (
            (
                "docker",
                (f"docker login {self.host}", f"docker tag my-image:latest {image}", f"docker push {image}"),
            ),
            (
                "podman",
                (
                    f"podman login{flags['podman']} {self.host}",
                    f"podman push{flags['podman']} my-image:latest {image}",
                ),
            ),
            (
                "nerdctl",
                (
                    f"nerdctl{insecure} login {self.host}",
                    f"nerdctl tag my-image:latest {image}",
                    f"nerdctl{insecure} push {image}",
                ),
            ),
            ("ctr", (f"ctr images push{flags['ctr']} --user {name} {image} my-image:latest",)),
            (
                "helm",
                (
                    f"helm registry login{flags['helm']} {self.host}",
                    "helm package my-chart",
                    f"helm push{flags['helm']} my-chart-0.1.0.tgz oci://{self.host}/{project}",
                ),
            ),
            (
                "oras",
                (
                    f"oras login{flags['oras']} {self.host}",
                    f"oras push{flags['oras']} {self.host}/{project}/my-files:latest my-file.txt",
                ),
            ),
        )

    def _flag(self, client: str) -> str:
        return _PLAIN.get(client, "") if self.is_plain else ""


def parse_image(text: str, host: str) -> dict[str, Any] | None:
    """project, repository and reference ('' without) of a pasted image's name, `[host/]project/repository[:tag][@digest]`,
    also behind a command such as `docker pull`; repository '' for `host/project`. None for any other text."""
    words = text.split()
    name = words[-1] if words else ""
    names_host = host in name
    for prefix in ("docker://", "oci://", "https://", "http://"):
        name = name.removeprefix(prefix)
    name, _, digest = name.removeprefix(f"{host}/").partition("@")
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    project, _, repository = f"{head}{slash}{last}".partition("/")
    if not project or not (repository or names_host):
        return None
    return {"project": project, "repository": repository, "reference": digest or tag}
