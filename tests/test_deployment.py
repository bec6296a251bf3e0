"""What starts the product: every queue has its worker, every lock is whole, and nothing names a machine."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hotline.celery import app
from tests.test_settings_documented import documented_variables

ROOT = Path(__file__).parent.parent
LOCKS = ("base", "ocr", "gpu", "dev")


def find_queues(commands: list[str]) -> set[str]:
    """The queues that Celery workers consume."""
    return {queue for command in commands for names in re.findall(r"-Q (\S+)", command) for queue in names.split(",")}


def routed_queues() -> set[str]:
    routes = settings.CELERY_TASK_ROUTES.values()
    return {settings.CELERY_TASK_DEFAULT_QUEUE} | {route["queue"] for route in routes}


def read_compose() -> dict[str, dict[str, object]]:
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
    services: dict[str, dict[str, object]] = compose["services"]
    return services


def test_procfile_has_a_worker_for_every_queue() -> None:
    lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()

    assert find_queues(lines) == routed_queues()
    assert [line.split(":", 1)[0] for line in lines] == ["web", "worker", "parse", "rerank", "beat"]


def test_no_other_task_waits_behind_a_scan() -> None:
    commands = [
        *(ROOT / "Procfile").read_text(encoding="utf-8").splitlines(),
        (ROOT / "docker" / "Dockerfile.worker").read_text(encoding="utf-8"),
        *(str(service.get("command", "")) for service in read_compose().values()),
    ]
    consumers = [queues for command in commands for queues in re.findall(r"-Q (\S+)", command) if "parse" in queues]

    assert consumers == ["parse", "parse"]
    assert settings.CELERY_TASK_ROUTES["kb.tasks.parse_upload"] == {"queue": "parse"}


@pytest.mark.parametrize("reranker", ["worker-rerank", "worker-gpu"])
def test_compose_has_a_worker_for_every_queue(reranker: str) -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile.worker").read_text(encoding="utf-8")
    stages = {stage.split()[0]: stage for stage in re.split(r"^FROM \S+ AS ", dockerfile, flags=re.M)[1:]}
    services = read_compose()
    commands = [
        str(service.get("command") or stages[service["build"]["target"]])  # type: ignore[index]
        for service in (services["worker"], services["worker-parse"], services[reranker])
    ]

    assert find_queues(commands) == routed_queues()


def test_gpu_worker_keeps_one_child() -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile.worker").read_text(encoding="utf-8")

    assert "-Q rerank --pool prefork --concurrency 1" in dockerfile


def test_compose_checks_the_health_of_everything_that_stays() -> None:
    services = read_compose()
    servers = ("postgres", "elasticsearch", "redis")
    images = {name: (ROOT / "docker" / f"Dockerfile.{name}").read_text(encoding="utf-8") for name in ("web", "worker")}

    assert [name for name in servers if "test" not in services[name]["healthcheck"]] == []  # type: ignore[operator]
    assert [name for name, text in images.items() if "HEALTHCHECK" not in text] == []


# What the containers give each other; every other setting is the deployment's to choose
FIXED_BY_COMPOSE = {"DATA_DIR", "DATABASE_URL", "REDIS_URL", "SEARCH_URL", "EMBEDDING_MODEL", "WARM_UP_RERANKER"}


def desk_services() -> dict[str, dict[str, object]]:
    """The services that read hotline/settings.py."""
    return {name: each for name, each in read_compose().items() if "SECRET_KEY" in each.get("environment", {})}  # type: ignore[operator]


def is_chosen_by_deployment(name: str, service: dict[str, object]) -> bool:
    """Whether the value of a setting in docker/.env reaches the container."""
    environment: dict[str, str] = service["environment"]  # type: ignore[assignment]
    if name in environment:  # goes before what env_file says
        return f"${{{name}:" in environment[name]
    return {"path": ".env", "required": False} in service.get("env_file", [])  # type: ignore[operator]


@pytest.mark.parametrize("service", sorted(desk_services()))
def test_every_documented_setting_reaches_the_containers(service: str) -> None:
    documented = set(documented_variables()) - {"HOTLINE_ENV_FILE"}  # where a set-up without containers keeps them

    lost = {name for name in documented if not is_chosen_by_deployment(name, desk_services()[service])}

    assert {"web", "worker", "beat", "migrate", "worker-gpu", "worker-rerank"} <= set(desk_services())
    assert lost == FIXED_BY_COMPOSE


def test_all_containers_agree_who_reranks() -> None:
    said = {
        (each["environment"]["RERANKER"], each["environment"]["COMPOSE_PROFILES"]) for each in desk_services().values()
    }  # type: ignore[index]

    assert said == {("${RERANKER:-}", "${COMPOSE_PROFILES:-}")}
    assert "RERANKER=" not in (ROOT / "docker" / "Dockerfile.worker").read_text(encoding="utf-8")


def test_images_hold_no_secrets() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()

    assert {"**/.env*", "var", ".git"} <= set(ignored)


def test_compose_keeps_data_in_named_volumes() -> None:
    services = read_compose()
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
    mounted = {str(volume).split(":")[0] for name in services for volume in services[name].get("volumes", [])}  # type: ignore[attr-defined]

    assert {name for name in mounted if not name.startswith("${MODELS")} <= set(compose["volumes"])


def test_readme_names_commands_that_exist() -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## 常用命令", 1)[1].split("\n## ", 1)[0]
    named = re.findall(r"^\| `(\w+)", section, flags=re.M)

    assert named
    assert set(named) <= set(get_commands())


def test_readme_links_to_what_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))

    assert [link for link in links if not (ROOT / link).exists()] == []


def test_beat_names_tasks_that_exist() -> None:
    app.loader.import_default_modules()

    scheduled = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert scheduled <= set(app.tasks)


@pytest.mark.parametrize("name", LOCKS)
def test_lock_holds_every_requirement(name: str) -> None:
    wanted = {canonicalize_name(Requirement(line).name) for line in read_requirements(name)}

    assert wanted <= {canonicalize_name(requirement.name) for requirement in read_lock(name)}


@pytest.mark.parametrize("name", LOCKS)
def test_lock_pins_exactly_and_names_no_machine(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")

    assert [str(each) for each in read_lock(name) if not str(each.specifier).startswith("==")] == []
    assert not re.search(r"://|--index|--find|\+cpu|^nvidia-|^triton", text, flags=re.M)


def test_base_lock_has_no_torch() -> None:
    assert {"torch", "transformers"}.isdisjoint(requirement.name for requirement in read_lock("base"))


def test_locks_agree() -> None:
    base, ocr, gpu, dev = ({each.name: str(each.specifier) for each in read_lock(name)} for name in LOCKS)

    assert base.items() <= gpu.items()
    assert base.items() <= ocr.items() <= dev.items()
    assert gpu.items() <= dev.items()


def read_requirements(name: str) -> list[str]:
    """The lines of a `.in` file without remarks and references."""
    lines = (ROOT / "requirements" / f"{name}.in").read_text(encoding="utf-8").splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip() and not line.startswith("-r")]


def read_lock(name: str) -> list[Requirement]:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line.split("#")[0].strip()) for line in lines if line.split("#")[0].strip()]


# Modules that need more than base, by the beginnings of their names: what only a machine with that lock runs
MORE_THAN_BASE = {"qwen": "gpu", "server": "gpu", "ocr": "ocr"}
OPTIONAL = {"modelscope"}  # asked for by the one who chooses that source


def list_imports(path: Path) -> set[str]:
    """Top-level names of what a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names - sys.stdlib_module_names - {"kb", "hotline", "reranking"}


@pytest.mark.parametrize("package", ["kb", "hotline", "reranking"])
def test_every_import_is_required(package: str) -> None:
    distributions = packages_distributions()
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / package).rglob("*.py")
        for name in list_imports(path) - OPTIONAL
        if not {canonicalize_name(each) for each in distributions.get(name, [name])} & allowed_packages(path)
    }

    assert missing == set()


def allowed_packages(path: Path) -> set[str]:
    """What a module may import: the packages that base names, and those of the lock that it runs with."""
    locks = ["base", *(lock for start, lock in MORE_THAN_BASE.items() if path.name.startswith(start))]
    return {canonicalize_name(Requirement(line).name) for lock in locks for line in read_requirements(lock)}
