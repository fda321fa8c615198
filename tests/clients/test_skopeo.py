def test_x(haven, project):
    print(haven.client().ping())
