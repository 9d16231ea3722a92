"""Trade and record: the exchange's client, a simulated exchange on its wire, recorder, execution, session.

Not here   features and decisions of a policy (serving/live, serving/inference). Begin reading at exchange/.
"""
