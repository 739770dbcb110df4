"""``version.*``: the tasks of versions."""

from tasks.base import read, write
from tasks.messages.differences import DiffVersions, VersionDifference
from tasks.messages.versions import (
    ActivatedVersion,
    ActivateVersion,
    ListVersions,
    PublishedVersion,
    PublishVersion,
    UnscheduledVersion,
    UnscheduleVersion,
    VersionList,
)
from tasks.services import differences, publishing, versions
from tasks.work import Work


@write("version.publish", PublishVersion)
def publish(message: PublishVersion, work: Work) -> PublishedVersion:
    """Publish a version of a template."""
    return publishing.publish(message, work)


@write("version.activate", ActivateVersion)
def activate(message: ActivateVersion, work: Work) -> ActivatedVersion:
    """Make a version the current one, now or later."""
    return versions.activate(message, work)


@write("version.unschedule", UnscheduleVersion)
def unschedule(message: UnscheduleVersion, work: Work) -> UnscheduledVersion:
    """Cancel the scheduled activation of a version."""
    return versions.unschedule(message, work)


@read("version.list", ListVersions)
def list_(message: ListVersions, work: Work) -> VersionList:
    """Return the versions of a template."""
    return versions.listed(message, work)


@read("version.diff", DiffVersions)
def diff(message: DiffVersions, work: Work) -> VersionDifference:
    """Return what changes from one version to another."""
    return differences.difference(message, work)
