"""The logic of a pair's panel: registers what a parameter node names; needs no panel."""

from __future__ import annotations

from typing import Any

from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from DiffRegLib.errors import RegistrationError
from DiffRegLib.mrml.pair.checks import why_not
from DiffRegLib.mrml.pair.parameters import follow_preset
from DiffRegLib.mrml.pair.plan import PairPlan
from DiffRegLib.mrml.panel.run import Listener, Run, Waiter


class PairLogic(ScriptedLoadableModuleLogic):
    """Base of the logics.

    settings: the class of the panel's parameter node, from `parameter_node`. plan: what a run does with the scene.
    """

    settings: type
    plan: type[PairPlan] = PairPlan

    def getParameterNode(self) -> Any:
        return self.settings(super().getParameterNode())

    def start(self, parameters: Any, listener: Listener) -> Run:
        """Starts a registration and returns at once; see `DiffRegLib.mrml.panel.run` for what the listener hears.

        Raises `RegistrationError` where it cannot be started.
        """
        follow_preset(parameters)
        if reason := why_not(parameters):
            raise RegistrationError(reason)
        return Run(self.plan(parameters), listener)

    def process(self, parameters: Any) -> None:
        """Registers and returns when it is done, for scripts; the window stays alive. Raises `RegistrationError`."""
        waiter = Waiter()
        run = self.start(parameters, waiter)
        waiter.wait(run)
