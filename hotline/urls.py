"""Addresses."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from hotline.views import dictionaries, home, lookups, reviews, rewrites, tickets

urlpatterns = [
    path("", home.show_console, name="console"),
    path("login/", LoginView.as_view(template_name="login.html", redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("ask/", lookups.ask, name="ask"),
    path("lookups/<int:pk>/", lookups.show_lookup, name="lookup"),
    path("lookups/<int:pk>/again/", rewrites.ask_again, name="ask_again"),
    path("lookups/<int:pk>/rewrites/", rewrites.offer_rewrites, name="offer_rewrites"),
    path("lookups/<int:pk>/results/", lookups.show_results, name="lookup_results"),
    path(
        "lookups/<int:pk>/results/<int:result_pk>/passages/<int:passage_pk>/",
        lookups.show_document,
        name="lookup_document",
    ),
    path("results/<int:pk>/feedback/", lookups.give_feedback, name="feedback"),
    path("tickets/", tickets.list_tickets, name="tickets"),
    path("tickets/<str:number>/", tickets.show_ticket, name="ticket"),
    path("tickets/<str:number>/adopt/", tickets.adopt_result, name="ticket_adopt"),
    path("tickets/<str:number>/notes/", tickets.save_notes, name="ticket_notes"),
    path("tickets/<str:number>/transfer/", tickets.transfer_ticket, name="ticket_transfer"),
    path("tickets/<str:number>/close/", tickets.close_ticket, name="ticket_close"),
    path("tickets/<str:number>/reopen/", tickets.reopen_ticket, name="ticket_reopen"),
    path("reviews/", reviews.list_reviews, name="reviews"),
    path("reviews/<int:pk>/", reviews.show_review, name="review"),
    path("api/v1/", include("hotline.api.urls")),
    path("knowledge/dictionaries/drafts/", dictionaries.show_drafts, name="dictionary_drafts"),
    path("knowledge/dictionaries/drafts/trial/", dictionaries.show_trial, name="dictionary_trial"),
    path("knowledge/dictionaries/drafts/try/", dictionaries.try_drafts, name="dictionary_try"),
    path("knowledge/dictionaries/drafts/live/", dictionaries.put_live, name="dictionary_live"),
    path("knowledge/", include("kb.urls")),
    path("favicon.ico", RedirectView.as_view(url=static("hotline/icon.svg")), name="favicon"),
    path("admin/", admin.site.urls),
]
