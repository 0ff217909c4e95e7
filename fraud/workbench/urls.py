"""Addresses of the pages."""

from django.conf import settings
from django.urls import path

from fraud.workbench import (
    batch,
    drill,
    exchange,
    learning_pages,
    naming,
    notes,
    office,
    office_figures,
    saved_views,
    views,
)

urlpatterns = [
    path("", office.home, name="home"),
    path("sign-in/", office.sign_in, name="sign_in"),
    path("sign-out/", office.sign_out, name="sign_out"),
    path("password/", office.password, name="password"),
    path("language/", office.choose_language, name="language"),
    path("assets/<str:name>", office.asset, name="asset"),
    path("cases/", views.case_list, name="list"),
    path("cases/take/", views.take, name="take"),
    path("cases/assign/", batch.assign_many, name="assign_many"),
    path("cases/drill/", drill.drill, name="drill"),
    path("views/save/", saved_views.save_view, name="save_view"),
    path("views/<int:view_id>/delete/", saved_views.delete_view, name="delete_view"),
    path("cases/<int:case_id>/", views.case_page, name="case"),
    path("cases/<int:case_id>/names/", naming.names, name="names"),
    path("cases/<int:case_id>/act/", views.case_act, name="act"),
    path("cases/<int:case_id>/claims/<int:evidence_id>/", views.claim_page, name="claim"),
    path("cases/<int:case_id>/comment/", notes.case_comment, name="comment"),
    path("cases/<int:case_id>/attach/", notes.case_attach, name="attach"),
    path("cases/<int:case_id>/mark/", notes.case_mark, name="mark"),
    path("cases/<int:case_id>/files/<int:attachment_id>/", notes.attachment, name="attachment"),
    path("runs/<int:run_id>/rings.html", views.ring_pictures, name="ring_pictures"),
    path("runs/<int:run_id>/plotly.min.js", office.plotly, name="plotly"),
    path("figures/", office_figures.figures_page, name="figures"),
    path("figures/share/", office_figures.set_share, name="set_share"),
    path("schemes/", learning_pages.scheme_list, name="schemes"),
    path("schemes/<int:scheme_id>/", learning_pages.scheme_page, name="scheme"),
    path("schemes/<int:scheme_id>/take/", learning_pages.scheme_take, name="scheme_take"),
    path("model/", learning_pages.model_page, name="model"),
    path("forms/", exchange.forms_page, name="forms"),
    path("forms/read/", exchange.form_in, name="form_in"),
    path("forms/<str:form>/workbook/", exchange.form_out, name="form_out"),
    path("sheets/<int:sheet_id>/", exchange.sheet_page, name="sheet"),
    path("sheets/<int:sheet_id>/apply/", exchange.sheet_apply, name="sheet_apply"),
    path("audits/export/", office.export, name="export"),
    path("trail/", office.trail_page, name="trail"),
    path("accounts/", office.account_list, name="accounts"),
    path("accounts/<int:account_id>/", office.account_change, name="account"),
]
if settings.WORKBENCH.sign_in == "oidc":
    from fraud.workbench import oidc

    urlpatterns += oidc.urlpatterns
