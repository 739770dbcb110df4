"""TLS: the server is who it says, and nobody speaks to it in the clear."""

from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from db.addresses import Database
from db.commands.core import Client
from db.errors import OperationError
from db.session import make_engine
from tests.postgres15.conftest import Server
from tests.support.certificates import Authority
from worker.local.server import free_port
from worker.local.valkey import LocalValkey
from worker.preflight import StartError, check
from worker.settings import Settings


def test_the_workers_engine_uses_tls(server: Server) -> None:
    """With ``verify-full``, which checks authority and host name."""
    engine = make_engine(Database(url=server.url()))
    with engine.connect() as connection:
        query = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert connection.execute(text(query)).one() == (True, "TLSv1.3")
    engine.dispose()


class TestRefusals:
    """What is not as it should be is refused, by one side or the other."""

    @pytest.mark.parametrize(
        ("options", "words"),
        [((), "signature failure"), (("Another",), "certificate verify failed")],
        ids=["same name", "other name"],
    )
    def test_a_certificate_of_an_unknown_ca_is_refused(
        self, server: Server, tmp_path: Path, options: tuple[str, ...], words: str
    ) -> None:
        """A certificate that someone else signed is not believed, whatever they call themselves."""
        other = Authority(tmp_path / "other", *options).root
        with pytest.raises(psycopg.OperationalError, match=words):
            psycopg.connect(server.url(f"sslmode=verify-full&sslrootcert={other}"))

    def test_a_certificate_for_another_host_is_refused(self, server: Server) -> None:
        """A certificate is for the name that it was made for."""
        with pytest.raises(psycopg.OperationalError, match="does not match host name"):
            psycopg.connect(server.url(host="127.0.0.1"))

    def test_an_unencrypted_connection_is_refused(self, server: Server) -> None:
        """``hostssl`` in pg_hba.conf has no line for it."""
        with pytest.raises(psycopg.OperationalError, match="no encryption"):
            psycopg.connect(server.url("sslmode=disable"))

    @pytest.mark.parametrize(
        ("tls", "host", "words"),
        [
            ("sslmode=disable", "localhost", "no encryption"),
            ("sslmode=verify-full&sslrootcert=/dev/null", "localhost", "root certificate file"),
            ("sslmode=verify-full&sslrootcert={root}", "127.0.0.1", "does not match host name"),
            ("sslmode=verify-full&sslrootcert=/missing", "localhost", "/missing"),
        ],
        ids=["plain", "authority", "host name", "no root"],
    )
    def test_a_worker_without_tls_reports_the_setting(
        self, server: Server, valkey: LocalValkey, tls: str, host: str, words: str
    ) -> None:
        """With the name of the setting, and without the password."""
        settings = Settings(
            database_url=SecretStr(server.url(tls.format(root=server.root), host=host)),
            broker_url=SecretStr(valkey.url),
            result_backend=SecretStr(valkey.url_of(1)),
        )
        with pytest.raises(StartError) as refused:
            check(settings, seconds=0.1)
        line = str(refused.value)
        assert line.startswith("DATABASE_URL: PostgreSQL cannot be used: ")
        assert words in line
        assert server.password not in line


class TestCommands:
    """The commands of operators go over TLS too."""

    def test_postgresql_programs_use_tls(self, server: Server) -> None:
        """``pg_dump`` gets authority and mode through the environment."""
        server.works("backup", "create", "--quiet")

    @pytest.mark.parametrize(
        ("tls", "host", "kind"),
        [
            ("sslmode=disable", "localhost", "connection_refused"),
            ("sslmode=verify-full&sslrootcert={other}", "localhost", "server_not_trusted"),
            ("sslmode=verify-full&sslrootcert={root}", "127.0.0.1", "server_not_trusted"),
        ],
        ids=["plain", "authority", "host name"],
    )
    def test_postgresql_programs_report_tls_errors_with_remedies(
        self, server: Server, tmp_path: Path, tls: str, host: str, kind: str
    ) -> None:
        """Each cause has its own word, and its own remedy."""
        other = Authority(tmp_path / "other", "Another").root
        url = server.url(tls.format(root=server.root, other=other), host=host)
        with pytest.raises(OperationError) as refused:
            Client(server.programs, url).run("pg_dump", ["--schema-only"])
        assert refused.value.kind == kind
        assert server.password not in str(refused.value)

    @pytest.mark.parametrize("way", ["in the address", "in the environment"])
    def test_a_standby_checks_the_primary_with_certificates_of_root(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
    ) -> None:
        """Its user is another one, who reads no file of root's and has another home directory."""
        private = tmp_path / "private"
        private.mkdir(0o700)
        root = private / "root.crt"
        root.write_bytes(server.root.read_bytes())
        tmp_path.chmod(0o711)
        query = ""
        if way == "in the address":
            query = f"sslmode=verify-full&sslrootcert={root}"
        else:
            monkeypatch.setenv("PGSSLMODE", "verify-full")
            monkeypatch.setenv("PGSSLROOTCERT", str(root))
        into = tmp_path / "standby"
        port = str(free_port())
        slot = f"tls_{way[-3:]}"
        options = ("--into", str(into), "--name", slot, "--user", slot, "--port", port, "--start")
        try:
            server.works("replica", "create", *options, DATABASE_URL=server.url(query))
            root.unlink()
            conninfo = (into / "postgresql.auto.conf").read_text()
            assert "sslmode=verify-full" in conninfo
            assert str(root) not in conninfo.splitlines()[-1]
        finally:
            server.call("replica", "stop", str(into))
            server.call("replica", "drop", slot, "--yes")
            server.run(f"DROP ROLE IF EXISTS {slot}")

    def test_programs_without_tls_are_reported(self, server: Server) -> None:
        """Those that come with the service have none: others have to be named."""
        done = server.call("backup", "create", TEMPLATE_SERVICE_POSTGRES_PROGRAMS="")
        assert done.exit_code == 1
        assert "TEMPLATE_SERVICE_POSTGRES_PROGRAMS" in done.output
        assert "TLS" in done.output
