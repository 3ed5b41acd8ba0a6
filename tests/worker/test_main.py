"""What `python -m worker` loads before it works."""

import subprocess
import sys


def test_what_a_fixed_token_does_not_need_is_not_loaded_at_the_start() -> None:
    script = (
        "import sys, worker.__main__; print({'azure', 'opentelemetry', 'starlette', 'sandbox'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert loaded.stdout.strip() == "set()"


def test_the_worker_loads_no_more_modules_than_it_did() -> None:
    script = "import sys, worker.__main__; print(len(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert int(loaded.stdout) <= 1000
