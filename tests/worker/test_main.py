"""Which modules `python -m worker` loads at the start."""

import subprocess
import sys


def test_modules_that_a_fixed_token_does_not_need_are_not_loaded_at_the_start() -> None:
    script = (
        "import sys, worker.__main__; print({'azure', 'opentelemetry', 'starlette', 'sandbox'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert loaded.stdout.strip() == "set()"


def test_the_worker_loads_at_most_a_thousand_modules() -> None:
    script = "import sys, worker.__main__; print(len(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert int(loaded.stdout) <= 1000
