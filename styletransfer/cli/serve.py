"""``styletransfer serve``: a page for people, and a service for programs."""

import argparse
import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from styletransfer.cli import cluster
from styletransfer.cli.arguments import add_common, add_machine, count
from styletransfer.cli.files import file_path
from styletransfer.cli.messages import say
from styletransfer.errors import UsageError

if TYPE_CHECKING:
    from styletransfer.jobs.task import Machine
    from styletransfer.web.limits import Limits
    from styletransfer.web.workplace import Workplace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument_group("where").add_argument
    add(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="the address to listen on; any but this machine's own takes a token (default:"
        " 127.0.0.1)",
    )
    add(
        "--port",
        type=_port,
        default=7860,
        metavar="N",
        help="the port, 0 for any that is free (default: 7860)",
    )
    add(
        "--token",
        metavar="TEXT",
        help="what a request has to bring, at least 16 characters (default: a new one, which is"
        " printed, where others than this machine can ask)",
    )
    add(
        "--state",
        type=file_path,
        metavar="DIR",
        help="the folder of jobs and results; what is unfinished there is gone on with (default:"
        " styletransfer/service in the user's data folder)",
    )
    add("--no-page", action="store_true", help="the service alone, without the page")
    add = parser.add_argument_group("the most that is taken").add_argument
    for flag, default, what in (
        ("--max-upload", 32, "megabytes of a request"),
        ("--max-pixels", 40, "megapixels of a picture that comes in"),
        ("--max-length", 2048, "pixels of the longest side of a picture that is made"),
        ("--max-frames", 1500, "frames of a film"),
        ("--max-time", 3600, "seconds that a job runs"),
        ("--queue", 10, "jobs that wait; another one is told to come back later"),
        ("--keep", 200, "jobs that have ended and are kept, for a week at most"),
        ("--rate", 120, "jobs a minute from one address"),
    ):
        add(flag, type=count, default=default, metavar="N", help=f"{what} (default: {default})")
    cluster.add_arguments(parser)
    add_machine(parser)
    add_common(parser)
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    from styletransfer.web import extra

    extra.check()
    from styletransfer import weights
    from styletransfer.jobs.task import Machine
    from styletransfer.web import server
    from styletransfer.web.access import LOOPBACK, new_token
    from styletransfer.web.limits import Limits

    limits = Limits(
        upload=options.max_upload << 20,
        pixels=options.max_pixels * 10**6,
        length=options.max_length,
        frames=options.max_frames,
        seconds=options.max_time,
        waiting=options.queue,
        kept=options.keep,
        rate=options.rate,
    )
    token = options.token
    if token is not None and (len(token) < 16 or not token.isascii() or not token.isprintable()):
        raise UsageError("the --token is too short or odd; give at least 16 plain characters")
    if token is None and options.host not in LOOPBACK:
        token = new_token()
    # Jobs are made in folders of their own, where ./models would be another one.
    models = weights.model_directories(options.models)[0].absolute()
    machine = Machine(options.gpu_id, options.threads or 0, models, options.provider)
    state = options.state or weights.user_data() / "styletransfer" / "service"
    listening = _listen(options.host, options.port)
    options.signals.saving = True  # a signal ends the service as it should end
    with (
        listening,
        _workplace(options, machine, limits) as workplace,
        server.opened(state.absolute(), limits, workplace) as queue,
    ):
        if not options.quiet:
            say(f"serving {_address(options.host, listening, token)}")
        server.serve(queue, limits, listening, token, options.host in LOOPBACK, not options.no_page)
    return 0


@contextmanager
def _workplace(
    options: argparse.Namespace, machine: "Machine", limits: "Limits"
) -> Iterator["Workplace"]:
    """Open where jobs are made: here or on a cluster."""
    workplace: Workplace
    where = cluster.place(options)
    if where is None:
        from styletransfer.web.process import Here, Process

        workplace = Here(lambda: Process(machine, limits))
    else:
        from styletransfer.web.elsewhere import Elsewhere

        workplace = Elsewhere(where, machine, limits)
    with closing(workplace):
        yield workplace


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, reuse_port=False)
    except OSError as error:
        raise UsageError(
            f"{host} port {port} cannot be listened on: {os.strerror(error.errno or 0)}; give"
            " another --port or --host"
        ) from None


def _address(host: str, listening: socket.socket, token: str | None) -> str:
    """Return what a browser takes."""
    name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    shown = f"[{name}]" if ":" in name else name
    return f"http://{shown}:{listening.getsockname()[1]}/{f'?token={token}' if token else ''}"


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)
