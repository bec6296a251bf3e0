from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('hotline', '0002_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='lookup',
            name='steps',
            field=models.JSONField(blank=True, default=list, verbose_name='理解步骤'),
        ),
        migrations.AddField(
            model_name='lookup',
            name='without',
            field=models.JSONField(blank=True, default=list, verbose_name='去掉的步骤'),
        ),
        migrations.AddField(
            model_name='lookup',
            name='rule_versions',
            field=models.JSONField(blank=True, default=dict, verbose_name='词典版本'),
        ),
    ]
