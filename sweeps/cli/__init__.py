"""The command line. Nothing heavy is imported until a command needs it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from sweeps.storage import default_storage

_OK, _TRIALS_FAILED, _USAGE, _INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 if all is well, 1 if trials failed or caches are damaged, 2 if the command cannot be
        carried out as given, 130 after Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stderr.close()
        return _OK
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:
        if (status := _status(error)) is None:
            raise
        print(f"freezo: {error}", file=sys.stderr)
        return status


def _status(error: Exception) -> int | None:
    """The exit status of an error that is the user's to mend; None for one that is ours."""
    names = {cls.__name__ for cls in type(error).__mro__}
    if "InterruptedSweepError" in names:
        return _INTERRUPTED
    users = {
        "ValueError",
        "StorageError",
        "SweepNameError",
        "MissingDataError",
        "PreflightError",
        "ToolMissingError",
        "TrackingError",
    }
    return _USAGE if names & users else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="freezo",
        description="Sweeps that make training cheap enough for small machines.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_presets(commands)
    _add_running(commands)
    _add_results(commands)
    _add_cache(commands)
    _add_hw(commands)
    return parser


def _add_presets(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    presets = _command(commands, "presets", "list the presets", "sweeps.cli.presets:presets")
    _json(presets)
    describe = _command(
        commands, "describe", "show a preset's config and trials", "sweeps.cli.presets:describe"
    )
    _preset(describe)
    describe.add_argument("--yaml", action="store_true", help="the config alone, for --config")
    _json(describe)


def _add_running(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = _command(commands, "run", "run a sweep", "sweeps.cli.run:run")
    _preset(run)
    run.add_argument("--name", help="of the sweep; the preset's and the time by default")
    resume = _command(commands, "resume", "go on with a sweep", "sweeps.cli.run:resume")
    resume.add_argument("name", metavar="NAME")
    for command in (run, resume):
        command.add_argument(
            "--executor",
            choices=("ray", "inline"),
            default="ray",
            help="ray: side by side, here or on a cluster; inline: in this process, without Ray",
        )
        command.add_argument("--address", help="of a running Ray cluster (ray only)")
        _storage(command)
        _tracking(command)
        _json(command)


def _add_results(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    pareto = _command(commands, "pareto", "show a sweep's trials", "sweeps.cli.results:pareto")
    pareto.add_argument("name", metavar="NAME")
    pareto.add_argument("--all", action="store_true", help="every trial, not the front alone")
    _storage(pareto)
    _json(pareto)
    report = _command(commands, "report", "write a sweep's report", "sweeps.cli.results:report")
    report.add_argument("name", metavar="NAME")
    _storage(report)
    _tracking(report)
    _json(report)
    ui = _command(commands, "ui", "open the MLflow browser", "sweeps.cli.results:ui")
    ui.add_argument("--host", default="127.0.0.1")
    ui.add_argument("--port", type=int, default=5000)
    _storage(ui)
    _tracking(ui)


def _add_cache(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    cache = commands.add_parser("cache", help="look after the feature caches")
    verbs = cache.add_subparsers(required=True, metavar="VERB")
    ls = _command(verbs, "ls", "list them", "sweeps.cli.cache:ls")
    verify = _command(verbs, "verify", "find and mend damage", "sweeps.cli.cache:verify")
    verify.add_argument("--no-repair", action="store_true", help="name the damage, no more")
    step_down = _command(
        verbs, "step-down", "halve an int8p cache into an int4 one", "sweeps.cli.cache:step_down"
    )
    step_down.add_argument("key", metavar="KEY", help="as `freezo cache ls` shows it")
    gc = _command(verbs, "gc", "delete the least recently used", "sweeps.cli.cache:gc")
    gc.add_argument("--max-bytes", type=int, required=True, help="what may stay")
    plan = _command(verbs, "plan", "plan one within a budget", "sweeps.cli.planning:plan")
    plan.add_argument("--task", metavar="NAME", help="the images")
    plan.add_argument("--model", metavar="MODEL", help="the trunk's")
    plan.add_argument("--cut", type=int, metavar="K", help="the freeze point")
    plan.add_argument("--views", nargs="*", metavar="VIEW", help="as hflip, rotate:degrees=10")
    plan.add_argument("--shift-pixels", type=int, metavar="N", help="largest random shift")
    plan.add_argument("--budget", required=True, metavar="BYTES", help="as 100MB or 1.5GiB")
    _set(plan, "any other knob of the trial, as trunk.steps=1000; repeatable")
    for verb in (ls, verify, step_down, gc, plan):
        _storage(verb)
        _json(verb)


def _add_hw(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    hw = commands.add_parser("hw", help="random number generators as hardware")
    verbs = hw.add_subparsers(required=True, metavar="VERB")
    score = _command(verbs, "score", "price a design", "sweeps.cli.hw:score")
    compare = _command(verbs, "compare", "see what a design saves", "sweeps.cli.hw:compare")
    catalog = _command(verbs, "catalog", "list the named designs", "sweeps.cli.hw:catalog")
    tools = "sweeps.cli.hw_tools"
    verilog = _command(verbs, "verilog", "print a design as Verilog", f"{tools}:verilog")
    simulate = _command(verbs, "simulate", "check every bit of a design", f"{tools}:simulate")
    synth = _command(verbs, "synth", "hold a price against Yosys", f"{tools}:synth")
    calibrate = _command(verbs, "calibrate", "refit and show the errors", f"{tools}:calibrate")
    for verb in (score, verilog, simulate, synth):
        verb.add_argument("design", metavar="DESIGN", help="a name, or as pool:size=4093,bits=8")
    compare.add_argument("first", metavar="A", help="the baseline")
    compare.add_argument("second", metavar="B", help="the design that should be cheaper")
    for verb in (score, compare):
        verb.add_argument("--technology", default="rapidsilicon-published")
        verb.add_argument("--clock-mhz", type=float, default=100.0)
    score.add_argument("--weights", type=int, help="audit and price a step of so many weights")
    simulate.add_argument("--cycles", type=int, default=2000, help="[%(default)s]")
    simulate.add_argument("--rtl", choices=("icarus", "verilator"), help="run the Verilog, too")
    simulate.add_argument("--vcd", metavar="FILE", help="waveforms of all signals, from Icarus")
    synth.add_argument("--family", choices=("xc7", "xcup"), default="xc7", help="[%(default)s]")
    synth.add_argument("--liberty", metavar="FILE", help="map to these standard cells instead")
    calibrate.add_argument("--family", action="append", help="of points; repeatable; all of them")
    calibrate.add_argument("--points", type=int, help="the first so many points per family")
    for verb in (score, compare, catalog, simulate, synth, calibrate):
        _json(verb)


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, where: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")

    def command(options: argparse.Namespace) -> int:
        import importlib

        module, function = where.split(":")
        return getattr(importlib.import_module(module), function)(options)

    parser.set_defaults(command=command)
    return parser


def _preset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("preset", nargs="?", default="quickstart", metavar="PRESET")
    parser.add_argument("--config", help="a YAML file in place of a preset")
    _set(parser, "train.steps=100 pins a knob; cut=[1, 2] sweeps it; repeatable")


def _set(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=text)


def _storage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--storage", default=default_storage(), help="folder of sweeps and caches [%(default)s]"
    )


def _tracking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI"),
        help="MLflow's; $MLFLOW_TRACKING_URI or a database in the storage folder by default",
    )


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")
