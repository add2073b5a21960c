"""The workflows: they parse, call targets that exist, and run all supported Pythons."""

import re
from pathlib import Path

import pytest
import yaml

from tools import environment

ROOT = Path(__file__).parents[2]
SUPPORTED = [f"{major}.{minor}" for major, minor in environment.SUPPORTED]
WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
}
JOBS = [
    pytest.param(workflow, job, id=f"{name}-{key}")
    for name, workflow in WORKFLOWS.items()
    for key, job in workflow["jobs"].items()
]


def triggers(workflow):
    # YAML 1.1 reads the key `on` as true.
    return workflow[True]


def commands(job):
    return "\n".join(step.get("run", "") for step in job["steps"])


def used(job, action):
    return [s for s in job["steps"] if s.get("uses", "").startswith(f"{action}@")]


def test_all_workflows_are_there():
    assert set(WORKFLOWS) == {"tests", "gpu", "pages", "canary", "links"}


@pytest.mark.parametrize(("workflow", "job"), JOBS)
def test_a_job_calls_make_targets_that_exist(workflow, job):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):(?!=)", makefile, re.M))
    called = set(re.findall(r"\bmake ([a-z-]+)", commands(job)))
    assert called <= targets
    assert called or used(job, "actions/deploy-pages")


@pytest.mark.parametrize(("workflow", "job"), JOBS)
def test_a_job_may_only_read_and_must_end(workflow, job):
    assert workflow["permissions"] == {"contents": "read"}
    written = {k for k, v in job.get("permissions", {}).items() if v == "write"}
    assert written == (
        {"pages", "id-token"} if used(job, "actions/deploy-pages") else set()
    )
    assert 0 < job["timeout-minutes"] <= 120
    assert workflow["concurrency"]["group"]
    for step in used(job, "actions/checkout"):
        assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_by_their_commit(name):
    text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
    uses = re.findall(r"uses: (.*)", text)
    assert uses
    for use in uses:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)


def test_one_action_has_one_version():
    texts = [
        p.read_text(encoding="utf-8")
        for p in (ROOT / ".github" / "workflows").glob("*.yml")
    ]
    pins = set(re.findall(r"uses: (.*)", "\n".join(texts)))
    assert len({pin.split("@")[0] for pin in pins}) == len(pins)


def test_the_matrix_is_the_supported_pythons():
    job = WORKFLOWS["tests"]["jobs"]["test"]
    assert job["strategy"]["matrix"] == {"python": SUPPORTED}
    assert job["env"]["PYTHON"] == "python${{ matrix.python }}"
    assert {"push", "pull_request"} == set(triggers(WORKFLOWS["tests"]))


@pytest.mark.parametrize(("workflow", "job"), JOBS)
def test_every_python_named_is_supported(workflow, job):
    for step in used(job, "actions/setup-python"):
        version = step["with"]["python-version"]
        assert version in [*SUPPORTED, "${{ matrix.python }}"]


def test_the_canary_flies_on_the_newest_python():
    job = WORKFLOWS["canary"]["jobs"]["newest"]
    assert job["env"]["PYTHON"] == f"python{SUPPORTED[-1]}"
    (step,) = used(job, "actions/setup-python")
    assert step["with"]["python-version"] == SUPPORTED[-1]


def test_the_gpu_says_what_it_is_runs_twice_and_always_hands_in_both_tables():
    job = WORKFLOWS["gpu"]["jobs"]["gpu"]
    steps = [step.get("run", step.get("uses", "")) for step in job["steps"]]
    run, table = "make test FULL=yes D2L_DEVICE=cuda", "_build/deviations.json"
    first = "_build/deviations-first.json"
    order = [run, f"cp {table} {first}", run, f"diff {first} {table}"]
    beginning = len(steps) - len(order) - 1
    assert steps[beginning:-1] == order
    before = ["nvidia-smi", "make environment", "collect_env"]
    places = [next(i for i, s in enumerate(steps) if text in s) for text in before]
    assert places == sorted(places) and places[-1] < beginning
    (upload,) = used(job, "actions/upload-artifact")
    assert upload["if"] == "always()" and upload is job["steps"][-1]
    assert upload["with"]["path"] == "_build/deviations*.json"


@pytest.mark.parametrize("name", ["gpu", "canary", "links"])
def test_weekly_workflows_run_once_a_week_and_by_hand(name):
    (schedule,) = triggers(WORKFLOWS[name])["schedule"]
    assert re.fullmatch(r"\d+ \d+ \* \* \d", schedule["cron"])
    assert "workflow_dispatch" in triggers(WORKFLOWS[name])


def test_only_main_is_published():
    workflow = WORKFLOWS["pages"]
    assert triggers(workflow)["push"] == {"branches": ["main"]}
    assert workflow["jobs"]["deploy"]["if"] == "github.ref == 'refs/heads/main'"
    (upload,) = used(workflow["jobs"]["build"], "actions/upload-pages-artifact")
    assert upload["with"]["path"] == "_build/html"
