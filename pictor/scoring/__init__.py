"""Who has earned a pass, and what each holder's score and rank are."""

from pictor.scoring.engine import EngineError
from pictor.scoring.standings import EpochScores, HoldersError, eligible_members, points_and_ranks, score_epoch

__all__ = ["EngineError", "EpochScores", "HoldersError", "eligible_members", "points_and_ranks", "score_epoch"]
