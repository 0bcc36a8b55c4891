"""Search: ask/tell algorithms, objectives, budgets, a journal, and what is reported at the end. Knows nothing of torch.

from nas_lightning.search.algorithm import make_algorithm
from nas_lightning.search.budget import Budget
from nas_lightning.search.engine import Search

algorithm = make_algorithm("regularized_evolution", objective.space, objective.fidelities, seed=0)
records = Search(algorithm, objective, Budget("evaluations", 100)).run()
"""
