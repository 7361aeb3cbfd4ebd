"""Makes a fresh GNU Health one that can be delivered to: prepare.py DATABASE PASSWORD_FILE.

An institution, the service user of weir with the rights of front desk and nurse, the health professional that it acts as, one
further health professional, and two vaccines whose products carry CVX codes.
"""

import os
import sys

from proteus import Model, config

database, password_file = sys.argv[1:]
config.set_trytond(database=database, config_file=os.environ["TRYTOND_CONFIG"])
with open(password_file) as file:
    password = file.read().strip()


def new(model, **values):
    record = Model.get(model)(**values)
    record.save()
    return record


currency = new("currency.currency", name="Euro", symbol="€", code="EUR")
house = new("party.party", name="Harbour Clinic", is_institution=True, fed_country="XXX")
company = new("company.company", party=house, currency=currency, timezone="Europe/Berlin")
institution = new("gnuhealth.institution", party=house, code="HARBOUR", institution_type="clinic", public_level="private")

Group = Model.get("res.group")
rights = ["Health Front Desk", "Health Nurse"]
user = Model.get("res.user")(name="weir", login="weir", password=password)
user.groups.extend(Group.find([("name", "in", rights)]))
user.companies.append(company)
user.company = company
user.save()


def professional(given, family, license_id, internal_user=None):
    person = new(
        "party.party",
        name=given,
        lastname=family,
        gender="u",
        is_person=True,
        is_healthprof=True,
        create_target=False,
        fed_country="XXX",
        internal_user=internal_user,
    )
    return new("gnuhealth.healthprofessional", party=person, institution=institution, code=license_id)


professional("weir", "Service", "WEIR", user)
professional("Ines", "Okafor", "HP-1")

unit = Model.get("product.uom").find([("symbol", "=", "u")])[0]
for code, name in [("208", "COVID-19 mRNA vaccine"), ("140", "Influenza vaccine")]:
    template = Model.get("product.template")(name=name, type="goods", default_uom=unit)
    template.products[0].suffix_code = code
    template.products[0].is_medicament = True
    template.products[0].is_vaccine = True
    template.save()
    new("gnuhealth.medicament", product=template.products[0], is_vaccine=True)
