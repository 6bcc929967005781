"""How soon after the start of its process a network reads 99 % of MNIST's test images right.

The clock starts with the process and stops when training ends: Python's start, the imports, reading
60,000 images, and the training count; testing comes after it. The recipe was chosen on validation
images: two convolutions, batch normalization behind the poolings, which leave it little to do, one
epoch with batches of 96, SGD with a rate that rises to 0.2 and falls along half a cosine.

PyTorch and Keras do the same with as many threads, if they are installed: each run of each in
a process of its own, in turn. It prints for each the seconds, those of the processors, which count
where the machine has other work, and the accuracy; and the means.

    python examples/time_to_99.py FOLDER                  # with MNIST's four IDX files
    python examples/time_to_99.py FOLDER --python PATH    # a Python that has PyTorch and Keras

On two cores convlet takes 2.4 s for 99.09 %, the means of three seeds, PyTorch 6.8 s for 99.05 %
and Keras on TensorFlow 11.4 s for 99.05 %. Where others compute, the clock says little, and
PyTorch's threads spend most of their time waiting: ``--threads 1`` then compares
the processors' seconds.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import mnist_parts
from command_line import parser_of

RUN = Path(__file__).with_name("time_to_99_run.py")
LIBRARIES = ["convlet", "torch", "keras"]


def main():
    """Start a process for each library and seed, in turn, and tell what they reached."""
    parser = parser_of(
        __doc__,
        mnist=True,
        seeds=5,
        threads=(2, "for each library"),
        limit=(60_000, "how many images to train on"),
    )
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=LIBRARIES)
    parser.add_argument("--python", default=sys.executable, help="one that has torch and keras")
    options = parser.parse_args()
    mnist_parts.load(options.folder)  # now, not in each process, if it is not there
    results = {library: [] for library in options.libraries}
    for seed in range(options.seeds):
        for library in list(results):
            answer = run(library, seed, options)
            if answer is None:
                del results[library]
                continue
            results[library].append(answer)
            line = "{:<8} seed {}: {:6.2f} s, of processors {:6.2f} s, accuracy {:.2f} %"
            print(line.format(library, seed, *answer), flush=True)
    print("\nMeans of all seeds, and the least accuracy:")
    for library, answers in results.items():
        seconds, processor_seconds, accuracy = map(statistics.mean, zip(*answers, strict=True))
        print(
            f"{library:<8} {seconds:6.2f} s, of processors {processor_seconds:6.2f} s, "
            f"accuracy {accuracy:.2f} % ({min(answer[2] for answer in answers):.2f} %)"
        )


def run(library, seed, options):
    """Return seconds to the end of training, the processors' seconds, and test accuracy."""
    python = sys.executable if library == "convlet" else options.python
    threads = str(options.threads)
    names = "CONVLET_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"
    quiet = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    arguments = [library, options.folder, seed, options.limit]
    start = time.perf_counter()
    try:
        process = subprocess.Popen(
            [python, RUN, *map(str, arguments)],
            env=os.environ | dict.fromkeys(names, threads) | quiet,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except OSError as error:
        print(f"{library:<8} did not run: {error}", flush=True)
        return None
    with process:
        processor_seconds = process.stdout.readline()
        seconds = time.perf_counter() - start
        accuracy, errors = process.communicate()
    if process.returncode:
        print(f"{library:<8} did not run: {errors.strip().splitlines()[-1]}", flush=True)
        return None
    return seconds, float(processor_seconds), float(accuracy)


if __name__ == "__main__":
    main()
