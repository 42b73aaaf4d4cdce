"""Build the one environment of this project, in `.venv` and `node_modules`, from the committed lock files.

Needs Python 3.11 or 3.12 and nothing else: Node, anvil, forge and the Solidity compiler come as packages.
Run by `make`; safe to run again. Written for any Python 3, so that a wrong one gets a sentence and no traceback.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
TOOLS = {
    # npm's names of the platforms that anvil and forge are built for
    ("Linux", "x86_64"): "linux-amd64",
    ("Linux", "aarch64"): "linux-arm64",
    ("Darwin", "x86_64"): "darwin-amd64",
    ("Darwin", "arm64"): "darwin-arm64",
}


def fail(reason):
    sys.exit("set-up: " + reason)


def run(step, *command):
    print("set-up: " + step, flush=True)
    # Node trusts the system's certificates too, as pip and uv do: needed behind a proxy that inspects TLS.
    env = dict(os.environ, PATH=str(BIN) + os.pathsep + os.environ.get("PATH", os.defpath), NODE_OPTIONS="--use-system-ca")
    env.update(VIRTUAL_ENV=str(VENV), UV_SYSTEM_CERTS="1", UV_NATIVE_TLS="1", UV_NO_PROGRESS="1", UV_COMPILE_BYTECODE="1")
    if subprocess.run([str(part) for part in command], cwd=str(ROOT), env=env).returncode != 0:
        fail(step + " failed; the lines above say why")


def check_machine():
    if sys.version_info[:2] not in ((3, 11), (3, 12)):
        fail("Python 3.11 or 3.12 is needed, this is " + platform.python_version() + "; name one with `make PYTHON=…`")
    if (platform.system(), platform.machine()) not in TOOLS:
        fail("no anvil is built for " + platform.system() + " on " + platform.machine())


def install_python_packages():
    # A virtual environment of another Python, or a broken one, is of no use: start anew.
    shutil.rmtree(str(VENV), ignore_errors=True)
    try:
        import ensurepip  # noqa: F401  Debian keeps it in a package of its own
    except ImportError:
        fail("this Python has no venv; install it (Debian, Ubuntu: apt install python3-venv) and run make again")
    run("virtual environment", sys.executable, "-m", "venv", VENV)
    lock = (ROOT / "requirements.lock").read_text()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as uv:
        uv.write(re.search(r"^uv==(?:.*\\\n)*.*\n", lock, re.M).group())
        uv.flush()
        run("uv", BIN / "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", uv.name)
    run("Python packages", BIN / "uv", "pip", "install", "--quiet", "--require-hashes", "-r", "requirements.lock")
    run("this project", BIN / "uv", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", ".")


def install_node_packages():
    run("Node packages", BIN / "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    for tool in ("anvil", "forge"):
        binary = ROOT / "node_modules" / "@foundry-rs" / (tool + "-" + TOOLS[platform.system(), platform.machine()]) / "bin" / tool
        if not binary.exists():
            fail("npm did not install " + str(binary))
        link = BIN / tool
        if link.is_symlink():
            link.unlink()
        link.symlink_to(binary)


def install_compiler():
    """Place the compiler where py-solc-x looks for it, and say where that is to every Python of this environment."""
    version = re.search(r'"solc": "([^"]+)"', (ROOT / "package.json").read_text()).group(1)
    folder = VENV / "solc"
    folder.mkdir(exist_ok=True)
    launcher = folder / ("solc-v" + version)
    launcher.write_text('#!/bin/sh\nexec "{}" "{}" "$@"\n'.format(BIN / "node", ROOT / "tools" / "solc.js"))
    launcher.chmod(0o755)
    # Ape finds anvil on PATH and solc through a variable. A .pth line sets both for `.venv/bin/ape` without activation.
    site = next(VENV.glob("lib/python3.*/site-packages"))
    (site / "pictor_toolchain.pth").write_text(
        "import os; os.environ.setdefault('SOLCX_BINARY_PATH', {0!r}); "
        "os.environ['PATH'] = os.environ['PATH'] if {1!r} in os.environ.get('PATH', '').split(os.pathsep) "
        "else {1!r} + os.pathsep + os.environ.get('PATH', os.defpath)\n".format(str(folder), str(BIN))
    )


if __name__ == "__main__":
    check_machine()
    install_python_packages()
    install_node_packages()
    install_compiler()
    (VENV / ".ready").touch()
    print("set-up: done", flush=True)
