"""Images: platform, config, and the commands that made each layer (image-spec, config.md)."""

from collections.abc import Mapping, Sequence
from typing import Any

from haven_registry.artifacts.details import Details, text_of
from haven_registry.oci.descriptor import Descriptor


def read_image(config: Mapping[str, Any], layers: Sequence[Descriptor]) -> Details:
    """What an image's config says. Members of a wrong type count as missing and are named in `error`."""
    errors = [
        f"{key} is not {what}"
        for key, kind, what in (("config", dict, "an object"), ("history", list, "a list"))
        if not isinstance(config.get(key), kind | None)
    ]
    steps, unmatched = match_history(config.get("history"), layers)
    platform = "/".join(filter(None, (text_of(config, key) for key in ("os", "architecture", "variant"))))
    extra: dict[str, Any] = {key: text_of(config, key) for key in ("architecture", "os", "created", "author")}
    if variant := text_of(config, "variant"):
        extra["variant"] = variant
    if isinstance(config.get("config"), dict):
        extra["config"] = config["config"]
        extra["author"] = extra["author"] or _maintainer(config["config"])
    return Details(
        platform=platform,
        created=extra["created"],
        author=extra["author"],
        extra=extra,
        history=steps,
        error="; ".join([*errors, *unmatched]),
    )


def _maintainer(runtime: Mapping[str, Any]) -> str:
    """Whom a label names, as the author's own instruction is deprecated (Harbor)."""
    labels = runtime.get("Labels")
    return text_of(labels, "maintainer") if isinstance(labels, dict) else ""


def match_history(history: Any, layers: Sequence[Descriptor]) -> tuple[list[dict[str, Any]], list[str]]:
    """Steps, each that made a layer with its digest and size in bytes, and what is wrong with them.

    Steps and layers are both in order; those with `empty_layer` made none. Where the numbers differ, no step is
    given a layer: a wrong one would be worse than none.
    """
    if not isinstance(history, list) or not history:
        return [], []
    steps = [_step(entry) for entry in history if isinstance(entry, dict)]
    errors = ["history has steps that are no objects"] if len(steps) != len(history) else []
    makers = [step for step in steps if not step.get("empty_layer")]
    if len(makers) != len(layers):
        return steps, [*errors, f"history has {len(makers)} steps with a layer, the manifest {len(layers)} layers"]
    for step, layer in zip(makers, layers, strict=True):
        step |= {"digest": str(layer.digest), "size": layer.size}
    return steps, errors


def read_children(manifests: Sequence[Descriptor]) -> list[dict[str, Any]]:
    """An index's children as Harbor's references show them, in order, without ids."""
    found = []
    for child in manifests:
        entry: dict[str, Any] = {"child_digest": str(child.digest)}
        if child.platform is not None:
            platform = child.platform
            entry["platform"] = {"architecture": platform.architecture, "os": platform.os}
            if platform.variant:
                entry["platform"]["variant"] = platform.variant
            if platform.os_version:
                entry["platform"]["'os.version'"] = platform.os_version
        if child.annotations:
            entry["annotations"] = dict(child.annotations)
        if child.urls:
            entry["urls"] = list(child.urls)
        found.append(entry)
    return found


def _step(entry: Mapping[str, Any]) -> dict[str, Any]:
    step: dict[str, Any] = {
        key: text_of(entry, key) for key in ("created", "created_by", "author", "comment") if text_of(entry, key)
    }
    if entry.get("empty_layer") is True:
        step["empty_layer"] = True
    return step
