"""README lists every environment variable that the settings read, and no other; the compose file sets only those."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
READ_OUTSIDE_DJANGO = {"HOTLINE_ENV_FILE"}  # where the settings themselves are found


def read_variables() -> set[str]:
    """Names that hotline/settings.py reads."""
    source = (ROOT / "hotline" / "settings.py").read_text(encoding="utf-8")
    return set(re.findall(r"\benv\.\w+\(\s*\"([A-Z0-9_]+)\"", source)) | set(
        re.findall(r"os\.environ\.get\(\"([A-Z0-9_]+)\"", source)
    )


def documented_variables() -> list[str]:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## 配置", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `([A-Z0-9_]+)` \|", section, flags=re.M)


def product_services() -> dict[str, dict[str, str]]:
    """Environment of each service of the compose file that runs the product."""
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
    return {
        name: service["environment"]
        for name, service in compose["services"].items()
        if str(service.get("image", "")).startswith("hotline-")
    }


def test_every_setting_is_documented_once() -> None:
    documented = documented_variables()

    assert set(documented) == read_variables() | READ_OUTSIDE_DJANGO
    assert len(documented) == len(set(documented))


def test_settings_are_read_in_one_file() -> None:
    readers = [
        str(path.relative_to(ROOT))
        for package in ("kb", "hotline")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "settings.py"
        # addresses of test servers are no settings of a deployment
        and re.search(r"os\.(environ\.get\(|environ\[|getenv\()\"(?!\w+_TEST_URL)", path.read_text("utf-8"))
    ]

    assert readers == []


@pytest.mark.parametrize("service", sorted(product_services()))
def test_compose_sets_known_variables(service: str) -> None:
    unknown = set(product_services()[service]) - read_variables() - {"WORKER_NAME"}

    assert unknown == set()


def test_env_example_holds_what_compose_asks_for() -> None:
    compose = (ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8")
    example = (ROOT / "docker" / ".env.example").read_text(encoding="utf-8")

    asked = set(re.findall(r"\$\{([A-Z_]+)", compose)) | {"COMPOSE_PROFILES"}
    held = set(re.findall(r"^([A-Z_]+)=", example, flags=re.M))
    assert asked - held == set()
    assert held - asked <= set(documented_variables())
