"""``bundle.apply``: a set of templates in one transaction."""

from tasks.base import write
from tasks.messages.bundles import AppliedBundle, ApplyBundle
from tasks.services import bundles
from tasks.work import Work


@write("bundle.apply", ApplyBundle)
def apply(message: ApplyBundle, work: Work) -> AppliedBundle:
    """Create and change a set of templates, all of them or none."""
    return bundles.apply(message, work)
