"""The first code in the process of a Python step: the counterpart of node.mjs."""

import json
import os
import sys

CONTROL = 3


def main():
    warm_up()
    os.write(CONTROL, b"\x06\n")
    lines = Lines()
    first = lines.read()
    if first is None:
        os._exit(0)
    task = json.loads(first)
    if task.get("reuse"):
        serve(task, lines)
    else:
        os.write(CONTROL, b"\x07\n")
        os.close(CONTROL)
        set_environment(task["env"])
        run_once(task)


def warm_up():
    """Makes ready, while nobody waits for it, what every step needs. Lines leave as they are printed."""
    sys.argv = [""]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")


class Lines:
    """Reads lines from the control channel and blocks meanwhile."""

    def __init__(self):
        self.rest = b""

    def read(self):
        parts = [self.rest]
        while b"\n" not in parts[-1]:
            chunk = os.read(CONTROL, 65536)
            if not chunk:
                return None
            parts.append(chunk)
        line, _, self.rest = b"".join(parts).partition(b"\n")
        return line


class OutputInvalid(Exception):
    pass


def run_once(task):
    code = 0
    try:
        with open(task["inputPath"], encoding="utf-8") as file:
            data = json.load(file)
        add_packages(task.get("packagesPath"))
        text = to_json(call_step(task, data))
        # Without a file the process would count as one that ended early.
        with open(task["outputPath"], "w", encoding="utf-8") as file:
            file.write("{}" if text is None else text)
    except SystemExit as stop:
        code = exit_code(stop)
    except OutputInvalid as error:
        tell_error(task, {"code": "OUTPUT_INVALID", "message": str(error)})
        code = 1
    except BaseException as error:
        show(error)
        tell_error(task, told(error))
        code = 1
    leave(code)


def leave(code):
    """Ends at once after the step's own farewells: a thread left behind does not keep the process."""
    import atexit

    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def exit_code(stop):
    if stop.code is None:
        return 0
    if isinstance(stop.code, int):
        return stop.code & 0xFF
    print(stop.code, file=sys.stderr)
    return 1


def show(error):
    """Prints the traceback from the step's own code on."""
    import traceback

    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)


def tell_error(task, error):
    with open(task["errorPath"], "w", encoding="utf-8") as file:
        json.dump(error, file)


def told(error):
    code = {"code": "OUT_OF_MEMORY"} if isinstance(error, MemoryError) else {}
    return {**code, "message": describe(error)}


def describe(error):
    return type(error).__name__ + ": " + str(error)


def to_json(result):
    """None means that nothing was returned."""
    if result is None:
        return None
    if not isinstance(result, dict):
        raise OutputInvalid("a step returns a dict, not " + type(result).__name__)
    try:
        return json.dumps(result, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise OutputInvalid(str(error)) from error


loaded = {}


def call_step(task, data):
    script = task["script"]
    if script not in loaded:
        loaded[script] = load_step(script)
    result = loaded[script](Context(task, data))
    if hasattr(result, "__await__"):
        import asyncio

        result = asyncio.run(result)
    return result


def load_step(script):
    module = type(sys)("step")
    module.__file__ = script
    sys.modules["step"] = module
    sys.argv = [script]
    sys.path.insert(0, os.path.dirname(script))
    with open(script, "rb") as file:
        source = file.read()
    exec(compile(source, script, "exec"), module.__dict__)
    step = module.__dict__.get("main")
    if not callable(step):
        raise TypeError("a step is a module with a function main(ctx)")
    return step


def add_packages(path):
    """Packages come after Python's own modules and before those of the machine."""
    if path is None or path in sys.path or not os.path.isdir(path):
        return
    import site

    before = list(sys.path)
    site.addsitedir(path)
    added = [entry for entry in sys.path if entry not in before]
    at = next((at for at, entry in enumerate(before) if entry.endswith(("site-packages", "dist-packages"))), len(before))
    sys.path[:] = before[:at] + added + before[at:]


def set_environment(wanted):
    for name in list(os.environ):
        if name not in wanted:
            del os.environ[name]
    changed_zone = os.environ.get("TZ") != wanted.get("TZ")
    os.environ.update(wanted)
    if changed_zone:
        import time

        time.tzset()


class Context(dict):
    """What a step gets: by key or by attribute."""

    def __init__(self, task, data):
        params = dict(data.get("initialInput") or {})
        files = params.pop("files", [])
        super().__init__(
            input=data,
            params=params,
            files=files,
            upstream=data.get("upstream") or {},
            run=task["run"],
            env=dict(task["env"]),
            log=Log(),
            artifacts=Artifacts(task),
        )

    def __missing__(self, name):
        if name == "signal":
            self["signal"] = Signal()
            return self["signal"]
        raise KeyError(name)

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Signal:
    """Tells when the attempt is asked to end. Made when it is first asked for; until then SIGTERM ends the process."""

    def __init__(self):
        import signal

        self.aborted = False
        signal.signal(signal.SIGTERM, self._abort)

    def _abort(self, *_):
        self.aborted = True


class Log:
    def __call__(self, *parts):
        print(*parts)

    debug = info = __call__

    def warn(self, *parts):
        print(*parts, file=sys.stderr)

    warning = error = warn


class Artifacts:
    def __init__(self, task):
        self._task = task

    def write(self, name, data):
        target = os.path.join(self._task["artifactsPath"], checked_name(name))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if isinstance(data, (bytes, bytearray, memoryview)):
            content = bytes(data)
        else:
            content = (data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)).encode("utf-8")
        with open(target, "wb") as file:
            file.write(content)
        return target

    def register(self, path, name=None, mime=None):
        work = self._task["workPath"]
        absolute = os.path.normpath(os.path.join(work, os.fspath(path)))
        problem = file_problem(absolute, work)
        if problem:
            raise ValueError("the file " + repr(os.fspath(path)) + " cannot be kept as an artifact: it " + problem)
        entry = {"path": absolute, "name": checked_name(name or os.path.basename(absolute)), "mime": mime}
        with open(self._task["registeredPath"], "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def path(self, step_key, name):
        return os.path.join(self._task["runPath"], "artifacts", step_key, name)


def file_problem(file, folder):
    """Why a file cannot be kept as it is now. When the step has ended, what has become of it is judged in the same way."""
    import stat

    if not file.startswith(folder + "/"):
        return "lies outside of the attempt's folder"
    try:
        at = os.path.dirname(file)
        while at != folder:
            if not stat.S_ISDIR(os.lstat(at).st_mode):
                return "lies behind a link, or in what is no folder"
            at = os.path.dirname(at)
        found = os.lstat(file)
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return "cannot be read (" + error.strerror + ")"
    if stat.S_ISLNK(found.st_mode):
        return "is a symbolic link"
    if not stat.S_ISREG(found.st_mode):
        return "is no regular file"
    return None if found.st_nlink == 1 else "has more than one name (a hard link)"


def checked_name(name):
    if not isinstance(name, str) or name == "" or name.startswith("/") or ".." in name.split("/"):
        raise ValueError("an artifact's name is a relative path, not " + repr(name))
    return name


def serve(task, lines):
    """Carries out attempts one after another as they come."""
    basics = {}
    # The step, and what it starts, must not hold the channel.
    os.set_inheritable(CONTROL, False)
    while True:
        # What did not change since the last attempt is not told again.
        basics = {**basics, **task}
        task = {**basics, "env": {**basics["env"], **attempt_environment(basics)}}
        outcome = answer(task)
        sys.stdout.flush()
        sys.stderr.flush()
        outcome["dirty"] = has_left_files(task)
        write_all(json.dumps(outcome, ensure_ascii=False).encode("utf-8") + b"\n")
        line = lines.read()
        if line is None:
            leave(0)
        task = json.loads(line)


def write_all(data):
    while data:
        data = data[os.write(CONTROL, data) :]


def attempt_environment(task):
    run = task["run"]
    return {
        "HOME": task["workPath"],
        "MAIA_RUN_ID": run["runId"],
        "MAIA_STEP_KEY": run["stepKey"],
        "MAIA_ATTEMPT_NO": str(run["attemptNo"]),
        "MAIA_ATTEMPT_ID": run["attemptId"],
        "MAIA_WORKFLOW_ID": run["workflowId"],
        "MAIA_INPUT_PATH": task["inputPath"],
        "MAIA_OUTPUT_PATH": task["outputPath"],
        "MAIA_RUN_DIR": task["runPath"],
        "MAIA_ATTEMPT_DIR": task["workPath"],
        "MAIA_ARTIFACTS_DIR": task["artifactsPath"],
    }


def answer(task):
    set_environment(task["env"])
    try:
        with open(task["inputPath"], "w", encoding="utf-8") as file:
            file.write(task["input"])
        os.chdir(task["workPath"])
        add_packages(task.get("packagesPath"))
        result = call_step(task, json.loads(task["input"]))
        text = to_json(result)
        return {"ok": True, "data": None if text is None else result}
    except OutputInvalid as error:
        return {"ok": False, "error": {"code": "OUTPUT_INVALID", "message": str(error)}}
    except SystemExit as stop:
        leave(exit_code(stop))
    except BaseException as error:
        show(error)
        return {"ok": False, "error": told(error)}


def has_left_files(task):
    try:
        if len(os.listdir(task["workPath"])) != 2 or os.listdir(task["artifactsPath"]):
            return True
        return os.path.exists(task["outputPath"]) or os.path.exists(task["registeredPath"])
    except OSError:
        return True


main()
