from rayflow.cli.commands.call import FlowCall
import click


def flow_logs_command(c: FlowCall) -> click.Command:
    return click.Command("logs")


def flow_dump_command(c: FlowCall) -> click.Command:
    return click.Command("dump")
