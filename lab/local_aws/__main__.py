"""``python -m local_aws``: start one lab and print its endpoint as one JSON line when it is ready.

    {"endpoint": "http://127.0.0.1:PORT", "addresses": "127.N.0.0/16"}

Nothing else is written to standard output; the log is in the data directory. The lab ends on SIGTERM or
SIGINT and when the process that started it is gone, and leaves no process behind.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from local_aws import server, settings, supervisor
from local_aws.server import Options


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local_aws", description="A local AWS for the lab.")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument(
        "--data-dir", type=Path, help="state, logs and temporary files; default: a directory that is removed at the end"
    )
    parser.add_argument(
        "--remove-orphaned-data",
        action="store_true",
        help="remove the data directory at the end if whoever started the lab is gone",
    )
    parser.add_argument("--region", default="eu-west-1")
    parser.add_argument("--account", default="111122223333")
    parser.add_argument(
        "--journal", type=Path, help="JSON lines of every API call and event; default: DATA_DIR/journal.jsonl"
    )
    parser.add_argument("--images", type=Path, help="JSON file: image repository to command list")
    parser.add_argument("--alarm-tick", type=float, default=1.0, help="seconds between two evaluations of all alarms")
    parser.add_argument(
        "--behaviours",
        type=Path,
        help="JSON file that steers the example application; default: DATA_DIR/behaviours.json",
    )
    parser.add_argument(
        "--routing-delay", type=float, default=0.0, help="seconds until a change of a rule reaches the traffic"
    )
    parser.add_argument("--elb-throttling", action="store_true", help="throttle the ELBv2 API as AWS does")
    parser.add_argument(
        "--order-seed", type=int, default=1, help="decides the order of lists whose order AWS does not promise"
    )
    parser.add_argument(
        "--sub-minute-retention",
        type=float,
        default=settings.SUB_MINUTE_RETENTION,
        help="seconds for which metrics can be read with periods below a minute (AWS: 3 hours)",
    )
    parser.add_argument(
        "--service-deployment-retention",
        type=float,
        default=settings.SERVICE_DEPLOYMENT_RETENTION,
        help="seconds for which ECS knows a service deployment (AWS: 90 days)",
    )
    parser.add_argument(
        "--execution-name-retention",
        type=float,
        default=settings.EXECUTION_NAME_RETENTION,
        help="seconds after its end for which an execution keeps its name (AWS: 90 days)",
    )
    parser.add_argument(
        "--scaling-minute",
        type=int,
        choices=(1, 5, 10, 20, 30, 60),
        default=60,
        help="seconds that a minute of Application Auto Scaling lasts (AWS: 60); a period that CloudWatch knows",
    )
    parser.add_argument(
        "--check-all-answers",
        action="store_true",
        help="hold answers to the account's root user to the service models too (see contracts.py)",
    )
    return parser.parse_args()


def main() -> int:
    """Parse the arguments and run the server below its supervisor."""
    starter = os.getppid()
    arguments = _arguments()
    try:
        images = json.loads(arguments.images.read_text()) if arguments.images else {}
    except (OSError, ValueError) as error:
        print(f"local_aws: --images: {error}", file=sys.stderr)
        return 2
    temporary = None
    if arguments.data_dir is None:
        temporary = tempfile.mkdtemp(prefix="local-aws-")
    data_directory = Path(temporary or arguments.data_dir).resolve()
    options = Options(
        port=arguments.port,
        data_directory=data_directory,
        region=arguments.region,
        account=arguments.account,
        journal=(arguments.journal or data_directory / "journal.jsonl").resolve(),
        images=images,
        alarm_tick=arguments.alarm_tick,
        behaviours=(arguments.behaviours or data_directory / "behaviours.json").resolve(),
        routing_delay=arguments.routing_delay,
        elb_throttling=arguments.elb_throttling,
        order_seed=arguments.order_seed,
        sub_minute_retention=arguments.sub_minute_retention,
        service_deployment_retention=arguments.service_deployment_retention,
        execution_name_retention=arguments.execution_name_retention,
        scaling_minute=arguments.scaling_minute,
        check_all_answers=arguments.check_all_answers,
    )
    try:
        return supervisor.run(lambda: server.serve(options))
    finally:
        orphaned = arguments.remove_orphaned_data and os.getppid() != starter
        if temporary is not None or orphaned:
            shutil.rmtree(data_directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
