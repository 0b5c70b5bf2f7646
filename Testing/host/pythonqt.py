"""PySide6 classes with the manners of PythonQt, the binding inside Slicer.

A Qt property is an attribute, signals are also connected by their signature, and a plain Qt object refuses
new attributes, None for a value and unknown signals: what a panel gets wrong here, it gets wrong in Slicer.
"""

import ctypes
import inspect
import sys

from PySide6 import QtCore

if sys.version_info < (3, 12):
    # PySide6 6.12 drops references to None and True that it does not own, until the interpreter aborts. From
    # Python 3.12 on these objects are immortal; before, they get more references than can be dropped.
    for immortal in (None, True, False):
        ctypes.c_ssize_t.from_address(id(immortal)).value += 1 << 40

# Properties that are also C++ virtual functions: Shiboken calls the Python attribute of that name back.
VIRTUAL = {"sizeHint", "minimumSizeHint", "spacing", "contentsRect"}
# Methods that return an object which Qt made itself.
INNER = set("verticalScrollBar horizontalScrollBar horizontalHeader verticalHeader header button lineEdit".split())
INNER |= set("selectionModel menuBar statusBar view model defaultAction itemDelegate parent".split())

_shims = {}


def shim(base):
    """The class `base` of PySide6 with PythonQt's manners."""
    if base not in _shims:
        _shims[base] = type(base.__name__, (Manners, base), {"__module__": "qt", **_members(base), "_plain": True})
        _shims[base].qt_base = base
    return _shims[base]


def stand_in(cls):
    """Class decorator: a widget of CTK or Slicer written in Python; plain, and known to the loader of `.ui` files."""
    base = next(b for b in cls.__mro__ if b.__module__.startswith("PySide6."))
    defined = {name for c in cls.__mro__[: cls.__mro__.index(base)] for name in vars(c)}
    for name, member in _members(base).items():
        if name not in defined:
            setattr(cls, name, member)
    cls.qt_base, cls._plain = cls, True
    stand_in.classes[cls.__name__] = cls
    return cls


stand_in.classes = {}


def stored(kind, name, default):
    """A Qt property of type `kind` that only keeps its value."""
    field = "_" + name

    def read(self):
        return self.__dict__.get(field, default)

    return QtCore.Property(kind, read, lambda self, value: setattr(self, field, value))


class Attribute:
    """A Qt property as an attribute; on the class the base's own member (QTimer.singleShot is also a function)."""

    def __init__(self, name, base, writable):
        self.name, self.base, self.writable = name, base, writable

    def __get__(self, instance, owner=None):
        if instance is None:
            return getattr(self.base, self.name, self)
        return _python_value(instance.property(self.name))

    def __set__(self, instance, value):
        if not self.writable:
            raise AttributeError(f"Property '{self.name}' of {type(instance).__name__} object is not writable")
        setter = getattr(instance, "set" + self.name[0].upper() + self.name[1:], None)
        if setter is None:
            instance.setProperty(self.name, value)
            return
        try:
            setter(value)
        except TypeError as error:
            raise AttributeError(_refusal(self.name, value)) from error


class Manners:
    """Mixed in before a PySide6 class."""

    qt_base = None
    _plain = False

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        if "_plain" not in vars(cls):
            cls._plain = False
        for name in ("connect", "disconnect"):  # Shiboken looks for these two in the type's own dictionary only
            if name not in vars(cls):
                setattr(cls, name, vars(Manners)[name])

    def connect(self, signal, *target):
        """Connect `signal`, given by its signature, to a function; surplus arguments are dropped as PythonQt does."""
        if not isinstance(signal, str):  # SignalInstance.connect() comes back through here
            return QtCore.QObject.connect(signal, *target)
        function = getattr(target[0], target[1].split("(")[0]) if len(target) == 2 else target[0]
        signature = self._signature(signal)
        count = min(_arity(function), len(_argument_types(signature)))

        def forward(*arguments):
            return function(*arguments[:count])

        _bound(self, signature).connect(forward)
        self.__dict__.setdefault("_connections", []).append((signature, function, forward))
        return True

    def disconnect(self, signal=None, *target):
        if signal is not None and not isinstance(signal, str):
            return QtCore.QObject.disconnect(signal, *target)
        wanted = self._signature(signal) if signal else None
        kept = []
        for signature, function, forward in self.__dict__.get("_connections", []):
            if wanted in (None, signature) and (not target or target[-1] == function):
                _bound(self, signature).disconnect(forward)
            else:
                kept.append((signature, function, forward))
        self.__dict__["_connections"] = kept
        return True

    def _signature(self, signal):
        """`signal` as Qt's meta object spells it; raises ValueError where there is none."""
        name, _, arguments = bytes(QtCore.QMetaObject.normalizedSignature(signal)).decode().partition("(")
        types = ["PyObject" if "vtk" in t else t for t in arguments.rstrip(")").split(",")]
        signature = f"{name}({','.join(types)})"
        if self.metaObject().indexOfSignal(signature) < 0:
            raise ValueError(f"Signal '{signal}' does not exist on {self.className()}")
        return signature

    def className(self):
        return next(c.__name__ for c in type(self).__mro__ if vars(c).get("_plain") or c is type(self))

    def inherits(self, name):
        return any(c.__name__ == name for c in type(self).__mro__)

    def delete(self):
        self.deleteLater()

    @property
    def name(self):
        return self.property("objectName")

    @name.setter
    def name(self, value):
        self.setObjectName(value)

    def children(self):
        return [as_seen(child) for child in QtCore.QObject.children(self)]

    def findChildren(self, kind=None, name=None):
        cls = getattr(kind, "qt_base", None) or kind or QtCore.QObject
        found = QtCore.QObject.findChildren(self, QtCore.QObject if issubclass(cls, Manners) else cls)
        return [as_seen(c) for c in found if isinstance(c, cls) and name in (None, "", c.property("objectName"))]

    def findChild(self, kind=None, name=None):
        return next(iter(self.findChildren(kind, name)), None)

    def __getattr__(self, name):
        if not name.startswith("_"):
            value = self.property(name)
            if value is not None:
                return _python_value(value)
            if name.startswith("set") and self.metaObject().indexOfProperty(name[3:4].lower() + name[4:]) >= 0:
                return lambda value: setattr(self, name[3:4].lower() + name[4:], value)
            for child in QtCore.QObject.children(self):
                if child.property("objectName") == name:
                    return as_seen(child)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name, value):
        cls = type(self)
        if not name.startswith("_"):
            known = self.metaObject().indexOfProperty(name) >= 0
            if value is None and known:
                raise AttributeError(_refusal(name, value))
            if cls._plain and not known and not isinstance(inspect.getattr_static(cls, name, None), property):
                if name.encode() in [bytes(n) for n in self.dynamicPropertyNames()]:
                    self.setProperty(name, value)
                    return
                if isinstance(value, QtCore.QObject) and value.property("objectName") == name:
                    super().__setattr__(name, value)  # PySide6's loader of .ui files, which takes it off again
                    return
                raise AttributeError(_no_new_attribute(name, cls.__name__))
        super().__setattr__(name, value)


class Foreign:
    """PythonQt's view of an object that Qt made itself; Shiboken cannot change its Python class."""

    def __init__(self, qobject):
        object.__setattr__(self, "qobject", qobject)

    def __getattr__(self, name):
        if name == "name":
            return self.qobject.property("objectName")
        if name not in VIRTUAL and self.qobject.metaObject().indexOfProperty(name) >= 0:
            return _python_value(self.qobject.property(name))
        return getattr(self.qobject, name)

    def __setattr__(self, name, value):
        if self.qobject.metaObject().indexOfProperty(name) < 0:
            raise AttributeError(_no_new_attribute(name, self.className()))
        if value is None or not self.qobject.setProperty(name, value):
            raise AttributeError(_refusal(name, value))

    def __eq__(self, other):
        return self.qobject is getattr(other, "qobject", other)

    def __hash__(self):
        return hash(self.qobject)

    def className(self):
        return self.qobject.metaObject().className()

    def children(self):
        return [as_seen(child) for child in self.qobject.children()]

    def connect(self, signal, function):
        getattr(self.qobject, signal.split("(")[0]).connect(function)


def as_seen(qobject):
    """`qobject` as a panel may see it."""
    return Foreign(qobject) if isinstance(qobject, QtCore.QObject) and not isinstance(qobject, Manners) else qobject


def _members(base):
    members = {name: _inner(base, name) for name in INNER if callable(getattr(base, name, None))}
    meta = base.staticMetaObject
    for index in range(meta.propertyCount()):
        name = meta.property(index).name()
        if name not in VIRTUAL:
            members[name] = Attribute(name, base, meta.property(index).isWritable())
    if hasattr(base, "exec"):
        members["exec_"] = lambda self, *arguments: self.exec(*arguments)
    return members


def _inner(base, name):
    return lambda self, *arguments: as_seen(getattr(base, name)(self, *arguments))


def _bound(qobject, signature):
    """The signal of that signature; an overloaded one has to be picked by its types."""
    name = signature.split("(")[0]
    meta, signal = qobject.metaObject(), getattr(qobject, name)
    spelled = [bytes(meta.method(i).methodSignature()).decode() for i in range(meta.methodCount())]
    if sum(s.startswith(name + "(") for s in spelled) == 1:
        return signal
    types = tuple(_argument_types(signature))
    return signal[types[0] if len(types) == 1 else types]


def _argument_types(signature):
    return [t for t in signature.partition("(")[2].rstrip(")").split(",") if t]


def _arity(function):
    """How many positional arguments `function` takes."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 99
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return 99
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def _python_value(value):
    return tuple(value) if type(value) is list else value  # PythonQt gives a QStringList as a tuple


def _no_new_attribute(name, class_name):
    return f"'{name}' does not exist on {class_name} and creating new attributes on C++ objects is not allowed"


def _refusal(name, value):
    return f"Property '{name}' does not accept an object of type {type(value).__name__} ({value!r})"
