"""``version.*``: the tasks of versions."""

from tasks.base import Work, read, write
from tasks.messages.versions import (
    ActivatedVersion,
    ActivateVersion,
    ListVersions,
    PublishedVersion,
    PublishVersion,
    VersionList,
)
from tasks.services import versions


@write("version.publish", PublishVersion)
def publish(message: PublishVersion, work: Work) -> PublishedVersion:
    """Publish a version of a template."""
    return versions.publish(message, work)


@write("version.activate", ActivateVersion)
def activate(message: ActivateVersion, work: Work) -> ActivatedVersion:
    """Make a version the current one."""
    return versions.activate(message, work)


@read("version.list", ListVersions)
def list_(message: ListVersions, work: Work) -> VersionList:
    """Return the versions of a template."""
    return versions.listed(message, work)
