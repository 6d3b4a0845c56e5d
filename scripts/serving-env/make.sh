#!/usr/bin/env bash
# Makes an environment in which vLLM runs on the CPU, apart from Recollect's own: it pins a lot.
#
#     scripts/serving-env/make.sh FOLDER [PYTHON]
#
# Ends with 0 when it is there, and with 3 and a sentence where there is no build of vLLM for this platform.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${1:?give the folder for the environment}
python=${2:-python3}
export PIP_DISABLE_PIP_VERSION_CHECK=1
unset PYTHONPATH PYTHONDONTWRITEBYTECODE

not_here() { echo "no serving environment: $*" >&2; exit 3; }
[[ $(uname -sm) == "Linux x86_64" ]] || not_here "the CPU build of vLLM is for Linux on x86_64, and this is $(uname -sm)"
version=$("$python" -c 'import platform; print(*platform.python_version_tuple()[:2], sep=".")')
[[ $version == 3.11 ]] || not_here "it is tried with Python 3.11, and $python is $version; name another as second argument"

ready=$folder/.ready
made_of=$(cat "$here"/* | sha256sum)
if [[ -f $ready && $(<"$ready") == "$made_of" ]]; then
    exit 0
fi
echo "making $folder: 450 MB to download, 2.4 GB on disk, some minutes"
rm -rf "$folder"
"$python" -m venv "$folder"
# --no-deps: the list is complete. Not on it are triton, which the CPU has no use for and which is 1 GB,
# and torchaudio and torchcodec, whose builds for CUDA do not load and then break what imports them.
if ! "$folder/bin/pip" install -qq --no-deps --no-compile -r "$here/requirements.txt"; then
    echo "pip must be able to find the CPU build of torch (2.13.0+cpu), in PyTorch's own package index or a folder: set PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS." >&2
    exit 1
fi
site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cp "$here/torchvision_cpu_shim.py" "$site"
echo "import torchvision_cpu_shim" >"$site/torchvision_cpu_shim.pth"
# Recollect without what it needs: the tiny LMM is made here, and that takes none of it.
"$folder/bin/pip" install -qq --no-deps -e "$here/../.."
# With all cores, which pip does not; where Python may not keep what it compiles, every start would do it anew.
"$folder/bin/python" -m compileall -q -j 0 "$site" >/dev/null || true # a few files are templates and not Python
echo "$made_of" >"$ready"
