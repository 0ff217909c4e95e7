"""Addresses of the pages."""

from django.urls import path

from fraud.workbench import notes, office, views

urlpatterns = [
    path("", office.home, name="home"),
    path("sign-in/", office.sign_in, name="sign_in"),
    path("sign-out/", office.sign_out, name="sign_out"),
    path("password/", office.password, name="password"),
    path("assets/<str:name>", office.asset, name="asset"),
    path("cases/", views.case_list, name="list"),
    path("cases/take/", views.take, name="take"),
    path("cases/<int:case_id>/", views.case_page, name="case"),
    path("cases/<int:case_id>/act/", views.case_act, name="act"),
    path("cases/<int:case_id>/comment/", notes.case_comment, name="comment"),
    path("cases/<int:case_id>/attach/", notes.case_attach, name="attach"),
    path("cases/<int:case_id>/mark/", notes.case_mark, name="mark"),
    path("cases/<int:case_id>/files/<int:attachment_id>/", notes.attachment, name="attachment"),
    path("runs/<int:run_id>/rings.html", views.ring_pictures, name="ring_pictures"),
    path("runs/<int:run_id>/plotly.min.js", office.plotly, name="plotly"),
    path("audits/export/", office.export, name="export"),
    path("trail/", office.trail_page, name="trail"),
    path("accounts/", office.account_list, name="accounts"),
    path("accounts/<int:account_id>/", office.account_change, name="account"),
]
