"""A lifecycle hook that answers what its details say, one answer after the other."""


def handler(event, context):
    """The contract of ECS: hookStatus, callBackDelay in seconds, hookDetails for the next time."""
    answers = event["hookDetails"]["answers"]
    if answers[0] == "crash":
        raise RuntimeError("crashed as told")
    return {
        "hookStatus": answers[0],
        "callBackDelay": 1,
        "hookDetails": {"answers": answers[1:] or answers},
    }
