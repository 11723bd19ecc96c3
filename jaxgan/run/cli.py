"""The command line of every experiment: train by default, or a command.

    main(PRESET, build)
    main(PRESETS, build, commands={"codes": Command(Codes, codes)})

An experiment is a preset, or a table of them, and a function that builds its model.
Mistakes of the user end in one sentence and exit code 2.
"""

import dataclasses
import errno
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import jax
import tyro

from jaxgan import data
from jaxgan.metrics import MEASURES, help_text
from jaxgan.run import atomic, config, hosts, idle, lock, settings, signals, workdir
from jaxgan.run.checkpoint import NotSaved
from jaxgan.run.commands import COMMANDS, Command
from jaxgan.run.guard import Diverged
from jaxgan.run.loading import load
from jaxgan.run.members import members
from jaxgan.run.train import Interrupted, train
from jaxgan.text import printable
from jaxgan.types import UsageError
from jaxgan.visual import NotFinite

__all__ = ["main"]

SURROUNDINGS = (
    *atomic.FULL,
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ENOENT),
    *(errno.EISDIR, errno.ENOTDIR, errno.EFBIG, errno.EMFILE, errno.ENFILE),
)
"""Errors of disks and folders, not of jaxgan."""


class Experiment(NamedTuple):
    """What a command line is made of."""

    name: str
    build: Callable
    commands: Mapping[str, Command]
    measures: tuple
    sources: tuple
    kind: type


def main(
    presets: config.Config | Mapping[str, config.Config],
    build: Callable,
    argv: list[str] | None = None,
    *,
    commands: Mapping[str, Command] | None = None,
    measures: tuple = MEASURES,
    sources: tuple = data.SOURCES,
) -> None:
    """Runs an experiment's command line and exits.

    Args:
        presets: the experiment's options; or several by name, one of which the first
            argument picks, with runs in `runs/EXPERIMENT/NAME`. If there is one of
            the name "", it is that of no name, and the others' are in
            `runs/EXPERIMENT_NAME` beside its own.
        build: `(config, shape, num_classes) -> Model`.
        argv: arguments, default the process's.
        commands: by name, others beside those of `jaxgan.run.commands`.
        measures: what there is to measure.
        sources: what there is to train on.
    """
    argv = sys.argv[1:] if argv is None else argv
    name = Path(sys.argv[0]).stem
    named = presets if isinstance(presets, Mapping) else {}
    default = named.get("", next(iter(named.values()))) if named else presets
    every = COMMANDS | dict(commands or {})
    this = Experiment(name, build, every, measures, sources, type(default))
    known = [
        settings.known(this.kind),
        *(settings.known(c.options) for c in every.values()),
    ]

    def flag(option):
        bare = option.removeprefix("no_")
        return settings.flag(option) if any(bare in k for k in known) else option

    with hosts.ending(), signals.ending_early(lock.let_go):
        try:
            _run(this, named, default, argv)
        except UsageError as error:
            _stop(error.worded(flag), 2)
        except Diverged:
            sys.exit(1)
        except Interrupted:
            sys.exit(130)
        except NotFinite as error:
            _stop(str(error), 1)
        except OSError as error:
            if error.errno not in SURROUNDINGS and not isinstance(error, NotSaved):
                raise
            _stop(_stopped(error), 1)
        except KeyboardInterrupt:
            _stop("Stopped at once, without saving.", 130)


def _run(this: Experiment, named, default, argv):
    prog, home = f"{this.name}.py", workdir.default(this.name)
    first = argv[0] if argv else ""
    must = bool(named) and "" not in named
    unnamed = must and first in this.commands
    if must and not unnamed:
        _check_name(first, named, prog, this.kind)
    if first and first in named:
        beside = home.with_name(f"{home.name}_{first}")
        prog, home, argv = f"{prog} {first}", home / first if must else beside, argv[1:]
        default = named[first]
    if not (argv and argv[0] in this.commands):
        default = _from_file(default, argv)
        options = _train_options(this, default, argv, prog, named)
        options = dataclasses.replace(options, workdir=options.workdir or str(home))
        settings.check(options)
        _check_idle(options, default)
        hosts.start(*(getattr(options, name) for name in settings.PROCESS))
        options = dataclasses.replace(options, **dict.fromkeys(settings.PROCESS))
        _cache_compilations()
        lists = {"measures": this.measures, "sources": this.sources}
        train(options, this.build, this.name, **lists)
        return
    command = this.commands[argv[0]]
    options = _parse(this, command.options, argv[1:], f"{prog} {argv[0]}")
    if unnamed and not options.workdir:
        example = f"{prog} {next(iter(named))} {first}"
        reason = f"{prog} {first} needs --workdir, or a name before: {example}."
        raise UsageError(None, None, reason)
    settings.check(options)
    command.check(options)
    path = Path(options.workdir or home)
    if not command.loads:
        command.run(options, path, this.kind)
        return
    _cache_compilations()
    chosen = ("member", "best", "live", "sigma_rel", "platform")
    which = {name: getattr(options, name) for name in chosen}
    found = load(path, this.kind, this.build, **which, experiment=this.name)
    found = [
        one._replace(measures=this.measures, sources=this.sources) for one in found
    ]
    if len(found) == 1:
        command.run(options, found[0])
    elif command.of_all:
        command.of_all(options, found)
    else:
        reason = f"holds {len(found)} members; choose one by `member`, such as 0."
        raise UsageError("workdir", path, reason)


def _check_name(name, named, prog, kind):
    names = f"one of {', '.join(named)}; {prog} NAME --help lists its options."
    if name in ("-h", "--help"):
        print(f"{kind.__doc__}\n\nusage: {prog} NAME [OPTIONS]\n\nNAME is {names}")
        sys.exit(0)
    if name not in named:
        _stop(f"{prog} needs a name first, not {name!r}: {names}", 2)


def _stopped(error: OSError):
    where = f" ({printable(str(error.filename))})" if error.filename else ""
    room = "Make room, and go on" if error.errno in atomic.FULL else "Go on"
    return (
        f"Stopped: {error.strerror}{where}. Checkpoints from before are as they were. "
        f"{room} by the same command."
    )


def _stop(text, code):
    print(text, file=sys.stderr)
    sys.exit(code)


def _parse(this: Experiment, kind, argv, prog, default=None, description=None):
    """The options that arguments give, with help of the measures and sources."""
    shown = _shown(kind, this.measures, this.sources)
    fields = [field.name for field in dataclasses.fields(kind)]
    if default is not None:
        default = shown(**{name: getattr(default, name) for name in fields})
    options = tyro.cli(
        shown,
        args=argv,
        prog=prog,
        default=default,
        description=description or kind.__doc__,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    named = kind(**{name: getattr(options, name) for name in fields})
    return settings.expanded(named)


def _shown(kind, measures, sources) -> type:
    """The options as they are parsed: measures by name, sources in the help."""
    names: Any = Literal[tuple(dict.fromkeys(m.name for m in measures))]
    metrics = help_text(measures)
    forms = ", ".join(f"{source.form} ({source.help})" for source in sources)
    said = {
        "data": (None, f"Images: {forms}."),
        "metrics": (
            tuple[names, ...] | None,
            f"What to measure: {metrics}; default all that suit.",
        ),
        "evaluate_metrics": (
            tuple[names, ...],
            f"What to measure of them: {metrics}; the first decides the best.",
        ),
    }
    fields = []
    for field in dataclasses.fields(kind):
        if field.name not in said:
            continue
        values, text = said[field.name]
        hint: Any = Annotated[values or field.type, tyro.conf.arg(help=text)]
        fields.append((field.name, hint, dataclasses.field(default=field.default)))
    return dataclasses.make_dataclass(
        kind.__name__, fields, bases=(kind,), frozen=True, kw_only=True
    )


def _train_options(this: Experiment, default, argv, prog, named):
    others = ", ".join(f"{prog} {command}" for command in this.commands)
    description = (
        f"{this.kind.__doc__}\n\nThis trains. With a trained run (each has a --help): "
        f"{others}."
    )
    if "" in named:
        names = [f"{this.name}.py {name}".rstrip() for name in named]
        description += f" By name: {', '.join(names)}."
    return _parse(this, this.kind, argv, prog, default, description)


def _from_file(default, argv):
    """The options of `--config FILE`, which flags override, else the default."""
    file = _value_of("--config", argv)
    return settings.from_file(file, default) if file else default


def _check_idle(options, default):
    """Refuses options that do nothing, of a new run: another goes on as it began."""
    if not (Path(options.workdir) / "config.json").exists():
        each = dict.fromkeys(tuple(one.values.items()) for one in members(options))
        idle.check([settings.changed(options, **dict(v)) for v in each], default)


def _value_of(name, argv):
    """The value of an option that must be known before the others are parsed."""
    for i, arg in enumerate(argv):
        if arg == name and i + 1 < len(argv):
            return argv[i + 1]
        if arg.startswith(name + "="):
            return arg.split("=", 1)[1]
    return None


def _cache_compilations():
    """Later starts of the same program skip its compilation."""
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(workdir.cache("compiled")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
